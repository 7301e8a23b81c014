"""Bytes to frozen dataclasses and back: one module, one page in ``docs/format/``, one golden test.

Nothing here touches a disk or a network. Every parser treats its input as hostile: lengths are
checked against the bytes that are left before anything is allocated, counts and depths have
limits, and the only exception that leaves is :class:`dver.base.errors.FormatError`.
"""
