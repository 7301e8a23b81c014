"""Looking after the store and the set-up: ``dver fsck``, ``gc``, ``doctor``, ``config``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dver.config.load import environment
from dver.python.verbs.handle import Group, Handle

if TYPE_CHECKING:
    from dver.config.schema import Level
    from dver.ops.setup.config import ConfigChange, ConfigListResult, FileLevel, SettingEntry
    from dver.ops.setup.doctor import DoctorResult
    from dver.ops.setup.hooks import HooksResult
    from dver.ops.upkeep.drop import DropResult
    from dver.ops.upkeep.fsck import FsckResult
    from dver.ops.upkeep.gc import GcResult
    from dver.ops.upkeep.gcremote import RemoteGcOptions
    from dver.ops.upkeep.purge import PurgeResult


class UpkeepVerbs(Handle):
    """Methods that look after stores and settings."""

    def fsck(
        self,
        *,
        full: bool = False,
        remote: str | None = None,
        repair: bool = False,
        source: str | None = None,
        subset: str | None = None,
        clean: bool = False,
        at_once: bool = False,
        dry_run: bool = False,
    ) -> FsckResult:
        """Verify the local store or a remote: ``dver fsck``. ``is_sound`` says how it is.

        ``full`` reads all content, ``subset`` (``"5%"``, ``"1/7"``, a size) a part of it.
        ``repair`` makes the local store sound, with content from the remote ``source``; ``clean``
        empties the quarantine, ``at_once`` of what is newer than 30 days too.
        """
        from dver.ops.upkeep.fsck import FsckOptions, fsck

        asked = FsckOptions(full, remote, repair, source, subset, clean, at_once, dry_run)
        with self.opened() as repo:
            return fsck(repo, asked, self.reporter)

    def gc(self, *, dry_run: bool = False, remote: RemoteGcOptions | None = None) -> GcResult:
        """Remove content that nothing needs any more, here or in a remote: ``dver gc``."""
        from dver.ops.upkeep.gc import GcOptions, gc

        with self.opened() as repo:
            return gc(repo, GcOptions(dry_run, remote), self.reporter)

    def drop(
        self,
        *what: str,
        revisions: tuple[str, ...] = (),
        all_versions: bool = False,
        copies: int | None = None,
        remotes: tuple[str, ...] = (),
        verify: bool = False,
        force: bool = False,
        dry_run: bool = False,
    ) -> DropResult:
        """Free local room: remove content of which there are copies elsewhere: ``dver drop``."""
        from dver.ops.upkeep.drop import DropOptions, drop

        asked = DropOptions(what, revisions, all_versions, copies, remotes, verify, force, dry_run)
        with self.opened() as repo:
            return drop(repo, asked, self.reporter)

    def purge(
        self,
        *what: str,
        revisions: tuple[str, ...] = (),
        all_versions: bool = False,
        remotes: tuple[str, ...] = (),
        reason: str = "",
        dry_run: bool = True,
        lift: bool = False,
    ) -> PurgeResult:
        """Remove content everywhere, for good, whoever still refers to it: ``dver purge``.

        Nobody is asked, so only a ``dry_run`` is made unless it is turned off.
        """
        from dver.ops.upkeep.purge import PurgeOptions, purge

        asked = PurgeOptions(what, revisions, all_versions, remotes, reason, dry_run, lift)
        with self.opened() as repo:
            return purge(repo, asked, self.reporter)

    def doctor(self, *, offline: bool = False) -> DoctorResult:
        """Return versions, capabilities and problems of this set-up: ``dver doctor``."""
        from dver.ops.setup.doctor import DoctorOptions, doctor

        with self.opened(initialised=False) as repo:
            asked = DoctorOptions(offline)
            return doctor(repo, repo.config, asked, self.reporter, environ=environment())

    @property
    def hooks(self) -> HooksGroup:
        """What git calls dver for: ``dver hooks``."""
        return HooksGroup(self)

    @property
    def config(self) -> ConfigGroup:
        """The settings: ``dver config``."""
        return ConfigGroup(self)


class ConfigGroup(Group):
    """The verbs of ``dver config``."""

    def get(self, key: str, *, level: Level | None = None) -> SettingEntry:
        """Return a setting with its origin, of all levels together or of one."""
        from dver.ops.setup import config as settings

        with self._handle.opened(initialised=False) as repo:
            return settings.get_setting(repo.config, key, level)

    def list(self, *, level: Level | None = None, every: bool = False) -> ConfigListResult:
        """Return the settings that are set, or with ``every`` all there are."""
        from dver.ops.setup import config as settings

        with self._handle.opened(initialised=False) as repo:
            return settings.list_settings(repo.config, level=level, every=every)

    def set(self, key: str, value: str, *, level: FileLevel = "local") -> ConfigChange:
        """Set a setting at a level."""
        from dver.ops.setup import config as settings

        with self._handle.opened(initialised=False) as repo:
            return settings.set_setting(repo.config, level, key, value)

    def unset(self, key: str, *, level: FileLevel = "local") -> ConfigChange:
        """Take a setting at a level back."""
        from dver.ops.setup import config as settings

        with self._handle.opened(initialised=False) as repo:
            return settings.unset_setting(repo.config, level, key)


class HooksGroup(Group):
    """The verbs of ``dver hooks``; ``parts`` are some of the hooks and drivers, by default all."""

    def install(self, *parts: str) -> HooksResult:
        """Let git call dver; hooks of others stay."""
        from dver.ops.setup.hooks import HooksOptions, install_hooks

        with self._handle.opened() as repo:
            return install_hooks(repo, HooksOptions(parts))

    def status(self, *parts: str) -> HooksResult:
        """Return what git calls dver for."""
        from dver.ops.setup.hooks import HooksOptions, hooks_status

        with self._handle.opened() as repo:
            return hooks_status(repo, HooksOptions(parts))

    def uninstall(self, *parts: str) -> HooksResult:
        """Take out what was installed, without a trace."""
        from dver.ops.setup.hooks import HooksOptions, uninstall_hooks

        with self._handle.opened() as repo:
            return uninstall_hooks(repo, HooksOptions(parts))
