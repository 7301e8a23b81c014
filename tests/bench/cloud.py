"""An S3 server on loopback, with and without a proxy, and how each program is pointed at it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.lab import Lab
from tests.bench.proxy import Proxy, proxy


class Cloud:
    """A server for the time of one case. ``proxy`` is None if clients reach it directly."""

    def __init__(self, lab: Lab, *, latency: float | None = None) -> None:
        from tests.support.s3server import rclone_binary, rclone_server

        self.lab = lab
        self.directory = lab.root / "s3-data"
        self.server = lab.stack.enter_context(rclone_server(self.directory))
        self.endpoint = self.server.endpoint
        self.proxy: Proxy | None = None
        if latency is not None:
            place = urlsplit(self.endpoint)
            self.proxy = lab.stack.enter_context(
                proxy(str(place.hostname), int(place.port or 80), latency=latency)
            )
            self.endpoint = self.proxy.endpoint
        self._rclone = rclone_binary()
        self._numbers = itertools.count()
        self._buckets: dict[Path, str] = {}

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def new_bucket(self, owner: Path) -> str:
        """Make an empty bucket, and delete the one that ``owner`` had before."""
        if owner in self._buckets:
            shutil.rmtree(self.directory / self._buckets[owner], ignore_errors=True)
        self._buckets[owner] = self.server.new_bucket()
        return self._buckets[owner]

    def bucket(self, owner: Path) -> str:
        """Return the bucket that ``owner`` has now."""
        return self._buckets[owner]

    def attach(self, repo: Path) -> None:
        """Give a repository of dver a remote with nothing in it, and nothing remembered of it."""
        dver, lab = self.lab.dver, self.lab
        shutil.rmtree(repo / ".git" / "dver" / "remotes", ignore_errors=True)
        (repo / ".dver" / "config.yaml").write_text("")
        url = f"s3://{self.new_bucket(repo)}/data-{next(self._numbers)}"
        lab.call(repo, *dver, "remote", "add", "origin", url, env=self.env)
        lab.call(
            repo, *dver, "remote", "set", "origin", "endpoint_url", self.endpoint, env=self.env
        )

    def attaching(self, repo: Path) -> Callable[[], None]:
        """Return what attaches a repository anew, for use before a run."""
        return lambda: self.attach(repo)

    def attach_dvc(self, repo: Path) -> None:
        """Give a repository of DVC a remote with nothing in it."""
        dvc, lab = str(self.lab.dvc), self.lab
        shutil.rmtree(repo / ".dvc" / "tmp", ignore_errors=True)
        url = f"s3://{self.new_bucket(repo)}/dvc-{next(self._numbers)}"
        lab.call(repo, dvc, "remote", "add", "-q", "-f", "-d", "o", url)
        lab.call(repo, dvc, "remote", "modify", "o", "endpointurl", self.endpoint)

    def rclone(self, *words: str) -> tuple[str, ...]:
        """Return a command line of rclone that knows the server as ``:s3:``."""
        return (
            self._rclone,
            f"--s3-endpoint={self.endpoint}",
            "--s3-provider=Rclone",
            f"--s3-access-key-id={self.server.access_key}",
            f"--s3-secret-access-key={self.server.secret_key}",
            "--config=/dev/null",
            *words,
        )

    def rclone_up(self, file: str, owner: Path, *options: str) -> Callable[[], tuple[str, ...]]:
        """Return what copies a file into a bucket that is new each time."""
        return lambda: self.rclone(*options, "copy", file, f":s3:{self.new_bucket(owner)}")
