"""Numbers as people read them. JSON always carries the exact ones."""

from __future__ import annotations

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(count: int) -> str:
    """Return a number of bytes with a binary unit and three digits or so, ``1.2 MiB``."""
    if abs(count) < 1024:
        return f"{count} B"
    value = count / 1024
    power = 0
    # 1023.95 would be rounded up to "1024.0 KiB".
    while abs(value) >= 1023.95 and power < len(_UNITS) - 1:
        value /= 1024
        power += 1
    return f"{value:.1f} {_UNITS[power]}"


def delta(count: int) -> str:
    """Return a change in bytes with its sign, ``+1.2 MiB``; no change is ``0 B``."""
    return f"+{size(count)}" if count > 0 else size(count)


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 file``, ``2 files``, ``1,000 files``; ``plural`` when it is not just an s."""
    word = singular if number == 1 else plural or singular + "s"
    return f"{number:,} {word}"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    days, hours = divmod(hours, 24)
    if not days:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{days} d {hours} h" if hours else f"{days} d"


def short(oid: str) -> str:
    """Return the ten hex digits of an oid in text form that people see."""
    return oid.removeprefix("blake3:")[:10]
