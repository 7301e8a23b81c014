"""Where dver keeps its files.

In the working tree, for git to share: ``.dver/config.yaml`` and the pointers. Everything else is in
git's own directories, where it can never be committed: what all working trees share in the common
one, what belongs to one working tree in its own. For the main working tree both are ``.git/dver``.
"""

from __future__ import annotations

from pathlib import Path

COMMITTED_CONFIG = b".dver/config.yaml"


class Layout:
    """The paths of one repository, seen from one of its working trees."""

    __slots__ = ("common_dir", "git_dir", "root")

    def __init__(self, root: Path, git_dir: Path, common_dir: Path) -> None:
        self.root = root
        self.git_dir = git_dir
        self.common_dir = common_dir

    @property
    def committed_config(self) -> Path:
        """The settings that git shares; that they exist means that dver is set up."""
        return self.root / ".dver" / "config.yaml"

    @property
    def common_state_dir(self) -> Path:
        """What all working trees share."""
        return self.common_dir / "dver"

    @property
    def state_dir(self) -> Path:
        """What belongs to this working tree."""
        return self.git_dir / "dver"

    @property
    def local_config(self) -> Path:
        """The settings of this clone."""
        return self.common_state_dir / "config.yaml"

    @property
    def store_dir(self) -> Path:
        """The local store, unless ``store.path`` moves it."""
        return self.common_state_dir

    @property
    def runs_dir(self) -> Path:
        """What runs under way have stored and no record names yet, as pointers."""
        return self.common_state_dir / "runs"

    @property
    def probes(self) -> Path:
        """What interpreters said of themselves; a cache."""
        return self.common_state_dir / "lineage" / "interpreters.json"

    @property
    def workspace_lock(self) -> Path:
        """Taken by whatever changes this working tree."""
        return self.state_dir / "workspace.lock"

    def remote_cache(self, name: str) -> Path:
        """Return where this clone keeps what it remembers of a remote."""
        return self.common_state_dir / "remotes" / name
