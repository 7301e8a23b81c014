"""Every example in the documentation is typed in, and must print what the page shows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dver.storage.s3 import S3Storage
from dver.storage.s3.settings import resolve
from tests.support import docs
from tests.support.s3server import S3Server

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CASES = [
    pytest.param(page, session, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, session in enumerate(docs.sessions(page.read_text(encoding="utf-8")), 1)
]


def empty(server: S3Server) -> None:
    """Remove what another page's session pushed to the bucket that all pages name."""
    storage = S3Storage(resolve("my-bucket", "", server.options, server.environ))
    for entry in list(storage.list("")):
        storage.delete(entry.key)
    storage.close()


@pytest.mark.parametrize(("page", "session"), CASES)
def test_examples(
    page: Path, session: docs.Session, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    env = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "home/.config"),
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        # A page may set options of git; that must never reach the file of whoever runs the tests,
        # nor /dev/null, which git would replace.
        "GIT_CONFIG_GLOBAL": str(tmp_path / "home/.gitconfig"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "init.defaultBranch",
        "GIT_CONFIG_VALUE_0": "main",
        **{f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "ada@example.org" for role in ("AUTHOR", "COMMITTER")},
        "DOCS": str(ROOT / "docs"),
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    (tmp_path / "home").mkdir()
    if "s3" in session.needs:
        server = request.getfixturevalue("moto_s3")
        server.new_bucket("my-bucket")
        empty(server)
        env |= {
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_REGION": "us-east-1",
        }
    problems = docs.play(session, tmp_path / "reader", env)
    assert not problems, f"{page}\n\n" + "\n\n".join(problems)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target, anchor in docs.links(page.read_text(encoding="utf-8")):
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            dead.append(target)
        elif anchor and anchor not in docs.anchors(file.read_text(encoding="utf-8")):
            dead.append(f"{target}#{anchor}")
    assert not dead


def test_anchors_are_what_git_hosts_make_of_headings() -> None:
    page = "# A `b`: c\n```\n# no\n```\n## 9. An S3 bucket\n"
    assert docs.anchors(page) == {"a-b-c", "9-an-s3-bucket"}
    assert list(docs.links("[a](b.md#c) [d](https://e) ![f](g.png)\n```\n[h](i)\n```\n")) == [
        ("b.md", "c"),
        ("g.png", ""),
    ]


def test_the_readme_has_examples() -> None:
    assert docs.sessions((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        (["a ..."], ["a b c"], True),
        (["...", "z"], ["x", "y", "z"], True),
        (["...", "z"], ["x", "y"], False),
        (["at 1a2b3c4d5e"], ["at ffffffff00"], True),
        (["took 1.5 s"], ["took 12 ms"], True),
        (["pushed 3 objects (2.9 KiB in 2 packs)"], ["pushed 3 objects (911 B in 2 packs)"], True),
        (
            ["pushed 3 objects (2.9 KiB in 2 packs)"],
            ["pushed 4 objects (2.9 KiB in 2 packs)"],
            False,
        ),
        (["fetched 3 objects (1 B) from r"], ["fetched 3 objects (1.0 MiB) from r"], True),
        (["sound: 2 packs, 3 objects, 9 B"], ["sound: 2 packs, 3 objects, 1.1 KiB"], True),
        (["new  data (2 files, 9 B)"], ["new  data (2 files, 8 B)"], False),
        (["a"], [], False),
        ([], ["surprise"], False),
        (["a"], ["a", "b"], False),
    ],
)
def test_the_comparison_can_fail(expected: list[str], got: list[str], same: bool) -> None:
    assert docs.matches(expected, got) is same
