"""Adding, finding, changing and trusting remotes."""

from __future__ import annotations

import pytest

from dver.base.errors import ConfigError, NotFoundError, RefusedError, UsageError
from dver.config import remotes, trust
from dver.config.load import Config
from tests.config.conftest import Place


def add(config: Config, place: Place, name: str, url: str, **more: object) -> bool:
    return remotes.add_remote(config, name, url, cwd=place.root, **more)


def test_the_first_remote_is_the_default(place: Place) -> None:
    config = place.config()
    with pytest.raises(NotFoundError) as caught:
        remotes.find_remote(config)
    assert caught.value.hint == "dver remote add NAME URL"
    assert add(config, place, "origin", "s3://bucket/prefix")
    assert add(config, place, "backup", "s3://backup")
    found = remotes.list_remotes(config)
    assert [(r.name, r.url, r.is_default, r.level) for r in found] == [
        ("backup", "s3://backup", False, "repository"),
        ("origin", "s3://bucket/prefix", True, "repository"),
    ]
    assert remotes.find_remote(config) == found[1]
    assert add(config, place, "third", "s3://third", default=True)
    assert remotes.find_remote(config).name == "third"
    assert remotes.set_default(config, "backup")
    assert not remotes.set_default(config, "backup")
    assert remotes.find_remote(config).name == "backup"


def test_adding_again_with_the_same_url_changes_nothing(place: Place) -> None:
    config = place.config()
    add(config, place, "origin", "s3://bucket")
    before = place.read("repository")
    assert not add(config, place, "origin", "s3://bucket")
    assert place.read("repository") == before
    with pytest.raises(RefusedError) as caught:
        add(config, place, "origin", "s3://other")
    assert caught.value.hint == "dver remote set origin url s3://other"
    assert place.read("repository") == before


@pytest.mark.parametrize("name", ["", "-x", "a.b", "a/b", "..", "a b", "é", "x" * 65, "a\n"])
def test_names_are_checked(place: Place, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a remote"):
        add(place.config(), place, name, "s3://b")
    assert place.read("repository") == ""


def test_names_that_differ_by_case_are_refused(place: Place) -> None:
    config = place.config()
    add(config, place, "origin", "s3://b")
    with pytest.raises(RefusedError, match="case"):
        add(config, place, "Origin", "s3://c")
    add(config, place, "other", "s3://o")
    with pytest.raises(RefusedError):
        remotes.rename_remote(config, "other", "ORIGIN")


def test_credentials_are_refused(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        add(place.config(), place, "origin", "s3://KEY:hunter2@bucket")
    assert "hunter2" not in caught.value.message
    assert place.read("repository") == ""
    with pytest.raises(UsageError):
        add(place.config(), place, "origin", " ")


def test_directories(place: Place) -> None:
    sub = place.root / "sub"
    config = place.config()
    remotes.add_remote(config, "shared", "../../store", cwd=sub)
    remotes.add_remote(config, "mine", "../../store", cwd=sub, level="local")
    remotes.add_remote(config, "user", "../../store", cwd=sub, level="user")
    remotes.add_remote(config, "fixed", "/abs/./store/", cwd=sub)
    remotes.add_remote(config, "home", "~/store", cwd=sub, level="local")
    store = str(place.root.parent / "store")
    assert {r.name: (r.url, r.location) for r in remotes.list_remotes(config)} == {
        "shared": ("../store", store),
        "mine": (store, store),
        "user": (store, store),
        "fixed": ("/abs/store", "/abs/store"),
        "home": ("/home/ada/store", "/home/ada/store"),
    }
    assert not remotes.add_remote(config, "shared", store, cwd=sub)
    place.write("user", "remote:\n  user:\n    url: relative\n")
    config.reload()
    with pytest.raises(ConfigError, match="relative path"):
        remotes.find_remote(config, "user")


def test_file_urls_are_directories(place: Place) -> None:
    place.write("local", "remote:\n  a:\n    url: file:///x/y/../z\n  b:\n    url: local://rel\n")
    found = {r.name: (r.location, r.destination) for r in remotes.list_remotes(place.config())}
    assert found == {
        "a": ("/x/y/../z", "file:///x/z"),
        "b": (str(place.root / "rel"), f"file://{place.root}/rel"),
    }


def test_unknown_remotes(place: Place) -> None:
    config = place.config()
    add(config, place, "origin", "s3://b")
    with pytest.raises(NotFoundError) as caught:
        remotes.find_remote(config, "orign")
    assert caught.value.hint == "did you mean 'origin'?"
    for change in (
        lambda: remotes.remove_remote(config, "nope"),
        lambda: remotes.rename_remote(config, "nope", "x"),
        lambda: remotes.set_default(config, "nope"),
        lambda: remotes.set_option(config, "nope", "region", "x", cwd=place.root),
        lambda: remotes.unset_option(config, "nope", "region"),
    ):
        with pytest.raises(NotFoundError):
            change()


def test_several_and_no_default(place: Place) -> None:
    place.write("local", "remote:\n  a:\n    url: s3://a\n")
    assert remotes.find_remote(place.config()).name == "a"
    place.write("local", "remote:\n  a:\n    url: s3://a\n  b:\n    url: s3://b\n")
    with pytest.raises(NotFoundError) as caught:
        remotes.find_remote(place.config())
    assert "dver remote default a" in (caught.value.hint or "")
    place.write("local", "core:\n  remote: gone\nremote:\n  a:\n    url: s3://a\n")
    with pytest.raises(NotFoundError, match="there is no remote 'gone'"):
        remotes.find_remote(place.config())


def test_options_go_where_they_may_stand(place: Place) -> None:
    config = place.config()
    add(config, place, "origin", "s3://b")
    assert remotes.set_option(config, "origin", "region", "eu-1", cwd=place.root)
    assert remotes.set_option(config, "origin", "profile", "work", cwd=place.root)
    assert remotes.set_option(config, "origin", "ca_bundle", "ca.pem", cwd=place.root)
    assert "region: eu-1" in place.read("repository")
    assert "profile: work" in place.read("local")
    assert remotes.find_remote(config).options == {
        "region": "eu-1",
        "profile": "work",
        "ca_bundle": str(place.root / "ca.pem"),
    }
    assert remotes.unset_option(config, "origin", "region")
    assert not remotes.unset_option(config, "origin", "region")
    assert "region" not in remotes.find_remote(config).options
    with pytest.raises(ConfigError, match="no setting"):
        remotes.set_option(config, "origin", "colour", "x", cwd=place.root)


def test_rename_and_remove_take_all_levels_along(place: Place) -> None:
    config = place.config()
    add(config, place, "origin", "s3://b")
    add(config, place, "other", "s3://o")
    remotes.set_option(config, "origin", "profile", "work", cwd=place.root)
    remotes.rename_remote(config, "origin", "main")
    found = remotes.find_remote(config)
    assert (found.name, found.url, found.options["profile"]) == ("main", "s3://b", "work")
    with pytest.raises(RefusedError):
        remotes.rename_remote(config, "main", "other")
    remotes.remove_remote(config, "main")
    assert "main" not in place.read("repository") + place.read("local")
    assert [r.name for r in remotes.list_remotes(config)] == ["other"]
    assert config.text("core.remote") is None


def test_a_user_remote_is_removed_from_the_user_file_only(place: Place) -> None:
    config = place.config()
    add(config, place, "u", "s3://u", level="user")
    remotes.set_option(config, "u", "profile", "p", level="local", cwd=place.root)
    remotes.remove_remote(config, "u")
    assert "u:" not in place.read("user")


def test_environment_and_command_line_make_remotes(place: Place) -> None:
    config = place.config({"DVER_REMOTE_CI_URL": "s3://ci"}, [("remote.ci.region", "r")])
    found = remotes.find_remote(config)
    assert (found.name, found.level, found.origin) == ("ci", "environment", "DVER_REMOTE_CI_URL")
    assert found.options["region"] == "r"


@pytest.mark.parametrize(
    ("url", "endpoint", "destination"),
    [
        ("s3://bucket/p/", None, "s3://bucket/p"),
        ("s3a://bucket", None, "s3://bucket"),
        ("S3://bucket/P", "HTTPS://Host:9/", "s3://bucket/P at https://host:9"),
        ("gs://b/x?project=y", None, "gs://b/x"),
        ("sftp://me@host/x", None, "sftp://me@host/x"),
    ],
)
def test_destinations(place: Place, url: str, endpoint: str | None, destination: str) -> None:
    text = f"remote:\n  a:\n    url: '{url}'\n"
    text += f"    endpoint_url: '{endpoint}'\n" if endpoint else ""
    place.write("local", text)
    assert remotes.find_remote(place.config(), "a").destination == destination


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("s3:bucket/p", "s3://bucket/p"),
        ("s3:/bucket", "s3://bucket"),
        ("nas@host:/data", "sftp://nas@host/data"),
    ],
)
def test_half_a_url_is_no_directory(place: Place, url: str, better: str) -> None:
    config = place.config()
    with pytest.raises(UsageError, match="'://' is missing") as caught:
        remotes.add_remote(config, "origin", url, cwd=place.root)
    assert f"if you mean {better}, write that" in (caught.value.hint or "")
    assert f"./{url}" in (caught.value.hint or "")
    assert remotes.add_remote(config, "origin", f"./{url}", cwd=place.root)
    assert remotes.find_remote(config, "origin").location == str(place.root / url)


def test_a_key_that_others_hold_is_part_of_what_is_trusted(place: Place) -> None:
    place.write("repository", "remote:\n  origin:\n    url: s3://bucket/data\n")
    assert remotes.trust_remote(place.config(), "origin")
    remotes.require_trusted(place.config(), remotes.find_remote(place.config(), "origin"))
    place.write(
        "repository",
        "remote:\n  origin:\n    url: s3://bucket/data\n    sse_kms_key_id: arn:aws:kms:mallory\n",
    )
    with pytest.raises(ConfigError, match="arn:aws:kms:mallory"):
        remotes.require_trusted(place.config(), remotes.find_remote(place.config(), "origin"))


def test_a_committed_remote_is_trusted_only_after_the_users_word(place: Place) -> None:
    place.write("repository", "remote:\n  origin:\n    url: s3://theirs\n")
    config = place.config()
    found = remotes.find_remote(config, "origin")
    assert not remotes.is_trusted(config, found)
    with pytest.raises(ConfigError) as caught:
        remotes.require_trusted(config, found)
    assert "dver remote trust origin" in (caught.value.hint or "")
    assert remotes.trust_remote(config, "origin")
    assert not remotes.trust_remote(config, "origin")
    remotes.require_trusted(config, found)
    place.write("repository", "remote:\n  origin:\n    url: s3://elsewhere\n")
    config.reload()
    with pytest.raises(ConfigError, match="s3://elsewhere"):
        remotes.require_trusted(config, remotes.find_remote(config, "origin"))


def test_a_fetch_trusts_only_where_nothing_was_trusted_before(place: Place) -> None:
    place.write("repository", "remote:\n  origin:\n    url: s3://theirs\n")
    config = place.config()
    assert remotes.trust_first_remote(config, "origin")
    assert remotes.trust_first_remote(config, "origin")
    remotes.require_trusted(config, remotes.find_remote(config, "origin"))
    place.write("repository", "remote:\n  origin:\n    url: s3://elsewhere\n")
    config.reload()
    assert not remotes.trust_first_remote(config, "origin")
    with pytest.raises(ConfigError, match="s3://elsewhere"):
        remotes.require_trusted(config, remotes.find_remote(config, "origin"))


def test_a_committed_endpoint_needs_trust_whoever_wrote_the_url(place: Place) -> None:
    place.write("repository", "remote:\n  origin:\n    endpoint_url: http://evil\n")
    for level in ("user", "local"):
        place.write(level, "remote:\n  origin:\n    url: s3://mine\n")
        config = place.config()
        assert not remotes.is_trusted(config, remotes.find_remote(config, "origin"))
        place.write(level, "")
    config = place.config({"DVER_REMOTE_ORIGIN_URL": "s3://mine"})
    assert not remotes.is_trusted(config, remotes.find_remote(config, "origin"))
    place.write("local", "remote:\n  origin:\n    url: s3://mine\n    endpoint_url: http://good\n")
    config = place.config()
    assert remotes.is_trusted(config, remotes.find_remote(config, "origin"))


def test_what_is_typed_here_is_trusted(place: Place) -> None:
    config = place.config()
    add(config, place, "origin", "s3://b")
    remotes.require_trusted(config, remotes.find_remote(config))
    remotes.set_option(config, "origin", "url", "s3://c", cwd=place.root)
    remotes.require_trusted(config, remotes.find_remote(config))
    remotes.set_option(config, "origin", "endpoint_url", "http://h", cwd=place.root)
    remotes.require_trusted(config, remotes.find_remote(config))
    assert config.paths.state is not None
    assert trust.is_pinned(config.paths.state, "s3://b")
    assert trust.is_pinned(config.paths.state, "s3://c at http://h")
    assert not trust.is_pinned(config.paths.state, "s3://d")


def test_setting_something_else_is_no_word_of_trust(place: Place) -> None:
    place.write("repository", "remote:\n  origin:\n    url: s3://theirs\n")
    config = place.config()
    remotes.set_option(config, "origin", "region", "r", cwd=place.root)
    remotes.set_default(config, "origin")
    remotes.rename_remote(config, "origin", "new")
    assert not remotes.is_trusted(config, remotes.find_remote(config, "new"))


def test_an_unreadable_trust_file_trusts_nothing(place: Place) -> None:
    assert place.paths.state is not None
    place.paths.state.mkdir(parents=True)
    (place.paths.state / trust.FILE).write_bytes(b"\xff\xfe\n# s3://a\ns3://b\n")
    assert not trust.is_pinned(place.paths.state, "s3://a")
    assert not trust.is_pinned(place.paths.state, "# s3://a")
    assert trust.is_pinned(place.paths.state, "s3://b")
