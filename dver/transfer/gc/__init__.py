"""Collecting garbage in a remote to which others push meanwhile; ``docs/design/gc.md`` says why."""
