"""Reading and changing settings, at one level or as they are in force."""

from __future__ import annotations

from typing import Literal

from dver.base.dataclass import dataclass
from dver.config import edit, schema
from dver.config.load import Config
from dver.config.schema import Level

FileLevel = Literal["user", "repository", "local"]


@dataclass(frozen=True, slots=True)
class SettingEntry:
    """A setting and where it comes from.

    ``value`` is its text, None when it is unset and dver decides; ``level`` and ``origin`` say
    which level and which file or variable it comes from, None when it is unset.
    """

    key: str
    value: str | None
    level: Level | None
    origin: str | None
    help: str


@dataclass(frozen=True, slots=True)
class ConfigListResult:
    """Settings in order of key."""

    settings: tuple[SettingEntry, ...]


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What was written: the key, its new text (None: removed), and the file.

    ``changed`` is False if it was so already. ``shadowed_by`` names the stronger origin whose
    value is in force all the same.
    """

    key: str
    value: str | None
    level: FileLevel
    origin: str
    changed: bool
    shadowed_by: str | None = None


def get_setting(config: Config, key: str, level: Level | None = None) -> SettingEntry:
    """Return a setting as it is in force, or as one level has it. ConfigError if unknown."""
    setting = schema.find(key)
    found = config.find(key) if level is None else config.at_level(level).get(key)
    if found is None:
        return SettingEntry(key, None, None, None, setting.help)
    return SettingEntry(key, schema.spell(found.value), found.level, found.origin, setting.help)


def list_settings(
    config: Config, *, level: Level | None = None, every: bool = False
) -> ConfigListResult:
    """Return what is set anywhere and in force, what one level sets, or ``every`` setting."""
    if level is not None:
        keys = set(config.at_level(level))
    else:
        keys = {value.key for value in config.values()}
    if every:
        names = config.remote_names()
        for setting in schema.SETTINGS:
            before, star, after = setting.key.partition("*")
            if before == "remote.":
                keys |= {before + name + after for name in names}
            elif not star:
                keys.add(setting.key)
    return ConfigListResult(tuple(get_setting(config, key, level) for key in sorted(keys)))


def set_setting(config: Config, level: FileLevel, key: str, text: str) -> ConfigChange:
    """Write one setting to the file of a level."""
    changed = edit.set_value(config, level, key, text)
    return _changed(config, level, key, changed)


def unset_setting(config: Config, level: FileLevel, key: str) -> ConfigChange:
    """Remove one setting from the file of a level."""
    changed = edit.unset_value(config, level, key)
    return _changed(config, level, key, changed)


def _changed(config: Config, level: FileLevel, key: str, changed: bool) -> ConfigChange:
    here = config.at_level(level).get(key)
    force = config.find(key)
    shadowed = (
        force.origin
        if force is not None and schema.LEVELS.index(force.level) > schema.LEVELS.index(level)
        else None
    )
    return ConfigChange(
        key=key,
        value=None if here is None else schema.spell(here.value),
        level=level,
        origin=config.paths.show(level),
        changed=changed,
        shadowed_by=shadowed,
    )
