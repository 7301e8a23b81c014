"""Who makes a record: a person as git knows them, or a job of a CI service."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping

from dver.base.redact import without_userinfo
from dver.formats.record import Actor, RepoIdentity
from dver.git.repository import Git

#: Service -> (a variable that tells it, {field: variable}). The names are those that each service
#: documents; a field is a text with variables in braces.
_SERVICES: dict[str, tuple[str, dict[str, str]]] = {
    "github": (
        "GITHUB_ACTIONS",
        {
            "url": "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
            "workflow": "{GITHUB_WORKFLOW}",
            "actor": "{GITHUB_ACTOR}",
            "commit": "{GITHUB_SHA}",
        },
    ),
    "gitlab": (
        "GITLAB_CI",
        {
            "url": "{CI_JOB_URL}",
            "workflow": "{CI_JOB_NAME}",
            "actor": "{GITLAB_USER_LOGIN}",
            "commit": "{CI_COMMIT_SHA}",
        },
    ),
    "jenkins": ("JENKINS_URL", {"url": "{BUILD_URL}", "workflow": "{JOB_NAME}"}),
    "buildkite": ("BUILDKITE", {"url": "{BUILDKITE_BUILD_URL}", "commit": "{BUILDKITE_COMMIT}"}),
    "circleci": ("CIRCLECI", {"url": "{CIRCLE_BUILD_URL}", "workflow": "{CIRCLE_JOB}"}),
    "azure": (
        "TF_BUILD",
        {"workflow": "{BUILD_DEFINITIONNAME}", "commit": "{BUILD_SOURCEVERSION}"},
    ),
}
_VARIABLE = re.compile(r"\{([A-Z_]+)\}")


def who(git: Git, environ: Mapping[str, str]) -> Actor:
    """Return who makes a record now. What is not known is left out."""
    config = _config(git, r"^user\.(name|email)$")
    # As for git, the environment comes before the settings.
    return Actor(
        environ.get("GIT_AUTHOR_NAME") or config.get("user.name", ""),
        environ.get("GIT_AUTHOR_EMAIL") or config.get("user.email", ""),
        _user(),
        _host(),
        ci(environ),
    )


def ci(environ: Mapping[str, str]) -> dict[str, str]:
    """Return which job of which CI service this is; nothing outside of one."""
    for service, (sign, texts) in _SERVICES.items():
        if environ.get(sign):
            found = {"provider": service}
            for name, text in texts.items():
                names = _VARIABLE.findall(text)
                if all(environ.get(one) for one in names):
                    found[name] = _VARIABLE.sub(lambda match: environ[match[1]], text)
            return {name: without_credentials(text) for name, text in found.items()}
    return {"provider": "unknown"} if environ.get("CI") else {}


def identity(git: Git) -> RepoIdentity:
    """Return which repository this is, across clones."""
    roots = [] if git.is_shallow else git.root_commits()
    remotes = {
        key.removeprefix("remote.").removesuffix(".url"): url
        for key, url in _config(git, r"^remote\..*\.url$").items()
    }
    url = remotes.get("origin") or next((remotes[name] for name in sorted(remotes)), "")
    return RepoIdentity(min(roots, default=""), without_credentials(url))


def without_credentials(url: str) -> str:
    """Return a URL without user and password, and without its query."""
    return without_userinfo(url).partition("?")[0] if "://" in url else url


def _config(git: Git, pattern: str) -> dict[str, str]:
    """Return the settings of git whose names match, the last value of each."""
    out = git.run("config", "-z", "--get-regexp", pattern, answers=(0, 1))
    pairs = (entry.partition(b"\n") for entry in out.split(b"\0") if entry)
    return {
        os.fsdecode(key): os.fsdecode(value).encode("utf-8", "replace").decode()
        for key, _, value in pairs
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def _host() -> str:
    try:
        return socket.gethostname()
    except OSError:
        return ""
