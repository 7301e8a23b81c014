"""How names, URIs and times of records are spelled in documents for others."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import dver
from dver.base.dataclass import dataclass
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.formats.record import Record

#: Names of what only dver defines; ``docs/how-to/standards.md`` says what each means.
RUN = "urn:dver:run:1"
RECORD = "urn:dver:record:1"
PRODUCER = f"urn:dver:version:{dver.__version__}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record, its id, and its bytes, of which the id is the hash."""

    id: Oid
    value: Record
    data: bytes


def text(name: str) -> str:
    """Return a path or argument as it is, or quoted if it is not Unicode."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return show(name)
    return name


def uri_path(path: str) -> str:
    """Return a path, its bytes escaped where a URI wants it."""
    return quote(path.encode("utf-8", "surrogateescape"))


def record_uri(record_id: Oid | str) -> str:
    """Return the name of a record."""
    digits = record_id if isinstance(record_id, str) else record_id.hex()
    return f"urn:dver:record:blake3:{digits}"


def record_uuid(record_id: Oid) -> str:
    """Return the UUID that stands for a record where only a UUID may; always the same one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, record_uri(record_id)))


def repository(value: Record) -> str:
    """Return a URI of the repository that a record is from, by its URL or its root commit."""
    url = value.repo.url
    if "://" in url:
        return quote(url, safe=":/?#[]@!$&'()*+,;=%~")
    user_host, colon, path = url.partition(":")
    if colon and "/" not in user_host and user_host:
        return f"ssh://{quote(user_host, safe='@')}/{uri_path(path.lstrip('/'))}"
    return f"urn:dver:repository:{value.repo.id or 'unknown'}"


def commit_of(value: Record) -> str:
    """Return the commit that has the exact code: HEAD's, or the snapshot's."""
    return value.code.snapshot or ("" if value.code.dirty else value.code.commit)


def title(value: Record) -> str:
    """Return what a person would call a record: its step, or what ran."""
    if value.step:
        return text(value.step)
    if value.command is not None:
        return text(" ".join(value.command.argv))[:200]
    return value.kind


def whoever(value: Record) -> str:
    """Return the name of who made a record, "" if nobody is named."""
    return text(value.actor.name or value.actor.user or value.actor.email)


def started(value: Record) -> str:
    """Return when it began, as RFC 3339 in UTC."""
    return value.run.started if value.run is not None else value.created


def finished(value: Record) -> str:
    """Return when it ended, as RFC 3339 in UTC."""
    return value.run.finished if value.run is not None else value.created


def failed(value: Record) -> bool:
    """Say whether what ran failed."""
    return value.run is not None and value.run.exit != 0


def filled(**fields: Any) -> dict[str, Any]:
    """Return those fields that say something."""
    return {key: value for key, value in fields.items() if value not in (None, "", {}, [], ())}


def clean(value: Any) -> Any:
    """Return plain JSON with all of its texts Unicode."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(key): clean(inner) for key, inner in value.items()}
    return [clean(inner) for inner in value] if isinstance(value, list) else value


def texts(values: Mapping[str, str]) -> dict[str, str]:
    """Return texts by name, all of them Unicode."""
    return {text(key): text(value) for key, value in values.items()}
