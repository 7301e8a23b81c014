"""Changing configuration files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dver.base.errors import ConfigError
from dver.config import document, edit
from dver.config.schema import Level
from tests.config.conftest import Place


def test_set_get_unset(place: Place) -> None:
    config = place.config()
    assert edit.set_value(config, "local", "core.jobs", "4")
    assert config.get("core.jobs") == 4
    assert not edit.set_value(config, "local", "core.jobs", "4")
    assert edit.set_value(config, "local", "core.link", "copy")
    assert place.read("local") == "core:\n  jobs: 4\n  link: copy\n"
    assert edit.unset_value(config, "local", "core.jobs")
    assert not edit.unset_value(config, "local", "core.jobs")
    assert place.read("local") == "core:\n  link: copy\n"
    assert edit.unset_value(config, "local", "core.link")
    assert place.read("local") == ""
    assert config.get("core.jobs") is None


def test_values_are_written_in_their_normal_spelling(place: Place) -> None:
    edit.set_value(place.config(), "local", "remote.a.anonymous", "YES")
    assert place.read("local") == "remote:\n  a:\n    anonymous: true\n"


BEFORE = """\
# top

core:
  # why
  remote: a
  jobs: 2

remote:
  a:
    url: s3://b  
  b:
    url: x
"""  # noqa: W291


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_comments_and_order_stay(place: Place, newline: str) -> None:
    before = BEFORE.replace("  \n", "\n").replace("\n", newline)
    place.write("local", before)
    config = place.config()
    edit.set_value(config, "local", "core.jobs", "3")
    expected = before.replace("jobs: 2", "jobs: 3")
    assert (place.paths.local or place.root).read_bytes().decode() == expected
    edit.set_value(config, "local", "remote.a.region", "r")
    expected = expected.replace(
        f"url: s3://b{newline}", f"url: s3://b{newline}    region: r{newline}"
    )
    assert (place.paths.local or place.root).read_bytes().decode() == expected
    edit.unset_value(config, "local", "remote.b.url")
    expected = expected.replace(f"  b:{newline}    url: x{newline}", "")
    assert (place.paths.local or place.root).read_bytes().decode() == expected


def test_any_other_yaml_is_written_anew_with_its_first_comment(place: Place) -> None:
    place.write("local", "# mine\ncore: {remote: 'a', link: \"copy\"}\n")
    edit.set_value(place.config(), "local", "core.jobs", "3")
    assert place.read("local") == "# mine\ncore:\n  remote: a\n  link: copy\n  jobs: 3\n"


def test_the_committed_file_says_what_it_is(place: Place) -> None:
    edit.set_value(place.config(), "repository", "core.remote", "a")
    assert place.read("repository") == edit.COMMITTED_HEADER + "core:\n  remote: a\n"


@pytest.mark.parametrize(
    ("level", "key", "value"),
    [
        ("repository", "store.path", "/x"),
        ("repository", "core.link", "copy"),
        ("repository", "remote.a.profile", "x"),
        ("local", "core.nope", "x"),
        ("local", "core.jobs", "x"),
        ("local", "remote.a.url", "s3://k:s@b"),
        ("local", "remote.a b.url", "s3://b"),
        ("local", "remote.a.url", "new\nline"),
        ("local", "remote.a.url", "\udce9"),
        ("local", "remote.a.url", ""),
    ],
)
def test_what_could_not_be_loaded_is_not_written(
    place: Place, level: Level, key: str, value: str
) -> None:
    place.write("repository", "core:\n  remote: a\n")
    with pytest.raises(ConfigError):
        edit.set_value(place.config(), level, key, value)
    assert place.read("local") == ""
    assert place.read("repository") == "core:\n  remote: a\n"


def test_a_broken_file_is_left_alone(place: Place) -> None:
    place.write("local", "core: {\n")
    with pytest.raises(ConfigError, match="not YAML"):
        edit.set_value(place.config(), "local", "core.jobs", "3")
    assert place.read("local") == "core: {\n"


VALUES = st.text(
    st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="\u2028\u2029\ufeff"),
    min_size=1,
) | st.sampled_from(["a: b", "#x", "'", '"', "true", "- a", "s3://b/p", "a #b", "é", " x ", "\\"])
KEYS = st.sampled_from(
    ["remote.a.url", "remote.a.region", "remote.b.url", "remote.b.profile", "core.jobs", "x.y"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=12))
def test_any_edits_read_back_with_and_without_yaml(edits: list[tuple[str, str | None]]) -> None:
    text, wanted = "# c\n", {}
    for key, value in edits:
        text = edit.edited(text, key, value, "f")
        wanted.pop(key, None) if value is None else wanted.update({key: value})
        assert document.flatten(document.parse(text.encode(), "f"), "f") == wanted
        assert document.flatten(document.parse_yaml(text, "f"), "f") == wanted
    assert text.startswith("# c\n")
