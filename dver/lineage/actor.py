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
    # As for git, the environment comes before the settings.
    return Actor(
        environ.get("GIT_AUTHOR_NAME") or _config(git, "user.name"),
        environ.get("GIT_AUTHOR_EMAIL") or _config(git, "user.email"),
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
    remotes = git.run("remote").decode("utf-8", "surrogateescape").split()
    url = ""
    if remotes:
        name = "origin" if "origin" in remotes else remotes[0]
        url = without_credentials(_config(git, f"remote.{name}.url"))
    return RepoIdentity(min(roots, default=""), url)


def without_credentials(url: str) -> str:
    """Return a URL without user and password, and without its query."""
    return without_userinfo(url).partition("?")[0] if "://" in url else url


def _config(git: Git, key: str) -> str:
    out = git.run("config", "--get", key, answers=(0, 1))
    return os.fsdecode(out).rstrip("\n").encode("utf-8", "replace").decode()


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
