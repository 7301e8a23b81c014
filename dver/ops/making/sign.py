"""Sign the record of what made something, and verify such signatures."""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, NotFoundError, RefusedError, UsageError
from dver.base.oid import Oid, oid_of
from dver.base.quoting import show
from dver.formats import recordpath
from dver.formats.record import Record
from dver.git.pointers import read_blobs
from dver.lineage.exporting.contents import StoreContents
from dver.lineage.exporting.intoto import statement
from dver.lineage.exporting.spelling import Recorded
from dver.lineage.finding import read_record_file
from dver.lineage.index import LineageIndex
from dver.lineage.keeping import content_of
from dver.lineage.signing import dsse, judging, pemkeys, signers, sshkeys
from dver.lineage.signing.dsse import Envelope, Signature
from dver.lineage.signing.judging import Judged, Judgement
from dver.ops.making.maker import Asked, find, maker_of
from dver.ops.making.remoterecords import asking, signatures_in
from dver.ops.targets import worktree

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class SignOptions:
    """What to sign, ``PATH[@REV]`` or a record's id, and with which key.

    ``key`` is a PEM file, ``ssh_key`` a file of OpenSSH's (a public one for a key in an agent).
    With neither it is the ssh key that git signs commits with. ``stage`` as for add.
    """

    target: str
    key: str | None = None
    ssh_key: str | None = None
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class SignResult:
    """A signature that was added: ``key`` is its fingerprint, ``signatures`` how many there are.

    ``trusted`` tells whether the default branch trusts the key; ``line`` is what its file of
    allowed signers would have to say for that.
    """

    record: str
    file: str
    key: str
    signatures: int
    trusted: bool
    line: str
    to_stage: tuple[str, ...]
    staged: bool


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What to verify the signatures of: ``PATH[@REV]``, a record's id, or a file on disk."""

    target: str


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What the signatures of a record are worth, and where trust was read from.

    ``good``: somebody whom the default branch trusts signed this record. ``untrusted``: only others
    did. ``bad``: a signature, or the record, is not what it should be; ``reason`` says why.
    """

    record: str
    verdict: Judgement
    file: str | None
    trust: str
    signatures: tuple[Judged, ...]
    reason: str


#: What the command line ends with for each verdict.
EXIT_OF: dict[Judgement, int] = {"good": 0, "unsigned": 1, "untrusted": 1, "bad": 7}


def sign(repo: Repo, options: SignOptions) -> SignResult:
    """Sign a record; signatures of others over the same stay.

    What is signed is the in-toto statement of the record, with the SHA-256 of each output whose
    bytes are here. Raises RefusedError if another statement of this record was signed before.
    """
    if options.key is not None and options.ssh_key is not None:
        raise UsageError("a signature is made with one key: --key or --ssh-key")
    _, one, _ = _look_up(repo, options.target)
    payload = json.dumps(
        statement(one, StoreContents(repo.store)), sort_keys=True, separators=(",", ":")
    ).encode()
    path = recordpath.signatures_path_of(one.id)
    absolute = repo.absolute(path)
    others = _others(repo, one, path, payload)
    message = Envelope(payload, ()).signed
    made, public = _make(repo, options, message)
    kept = [other for other in others if other.key != made.key]
    envelope = Envelope(payload, (*kept, made))
    fsio.make_dirs(os.path.dirname(absolute))
    fsio.write_atomic(absolute, dsse.encode(envelope))
    (judged,) = judging.judge(Envelope(payload, (made,)), signers.trusted(repo.git), repo.environ)
    staged = worktree.stage(repo, [path], options.stage)
    who = _config(repo, "user.email") or "somebody@example.org"
    return SignResult(
        one.id.hex(),
        repo.display(path),
        made.key,
        len(envelope.signatures),
        judged.verdict == "good",
        f'{who} namespaces="{signers.NAMESPACE}" {public}',
        (repo.display(path),),
        staged,
    )


def verify(repo: Repo, options: VerifyOptions) -> VerifyResult:
    """Judge the signatures of the record that made something.

    Signatures are read from the work tree, else from the newest commit of any ref that has them,
    else, where git does not have the record, from the remote that does; whom to trust from the
    default branch only. A record or file in the work tree that was altered is bad, whatever was
    signed.
    """
    asked, one, origin = _look_up(repo, options.target)
    path = recordpath.signatures_path_of(one.id)
    data = _signature_file(repo, path)
    is_here = data is not None
    if data is None and origin:
        data = signatures_in(repo, origin, one.id)
    trust = signers.trusted(repo.git)
    judged: list[Judged] = []
    verdict: Judgement = "unsigned"
    reason = _altered(repo, asked, one)
    if data is not None:
        try:
            envelope = dsse.decode(data)
            judged = judging.judge(envelope, trust, repo.environ)
            verdict = judging.overall(judged)
            reason = reason or judging.misfit(envelope.payload, one)
        except CorruptError as error:
            reason = reason or error.message
    if reason:
        verdict = "bad"
    elif verdict == "bad":
        reason = "a signature does not fit what was signed"
    return VerifyResult(
        one.id.hex(),
        verdict,
        repo.display(path) if is_here else None,
        trust.where,
        tuple(judged),
        reason,
    )


def _look_up(repo: Repo, target: str) -> tuple[Asked, Recorded, str]:
    """Return what was asked for, its record, and the remote it is from if git does not have it."""
    with LineageIndex(repo) as index:

        def look() -> tuple[Asked, Oid, Record]:
            asked = find(repo, index, target)
            return asked, *maker_of(repo, index, asked)

        asked, record_id, value = asking(repo, index, target, None, look)
        data = index.data(record_id)
        origin = index.origins([record_id]).get(record_id, "")
    if data is None:
        raise NotFoundError(f"there is no record {record_id.hex()[:10]}")
    return asked, Recorded(record_id, value, data), origin


def _altered(repo: Repo, asked: Asked, one: Recorded) -> str:
    """Return what in the work tree is not as it was recorded, "" if nothing is."""
    path = recordpath.path_of(one.id)
    here = read_record_file(repo, path)
    if here is not None and oid_of(here) != one.id:
        return f"{show(repo.display(path))} was altered: it is not what its name says"
    if asked.path and asked.oid is not None and asked.text == asked.path:
        absolute = os.path.join(repo.cwd, asked.path)
        if os.path.isfile(absolute) and content_of(absolute) != asked.oid:
            return f"{show(asked.path)} in the work tree is not what its pointer names"
    return ""


def _signature_file(repo: Repo, path: bytes) -> bytes | None:
    found = read_record_file(repo, path, dsse.MAX_SIZE)
    if found is not None:
        return found
    name = b":(top,literal)" + path
    args = ("-c", "log.showSignature=false", "log", "--all", "-1", "--format=%H", "--no-patch")
    commit = repo.git.run(*args, "--diff-filter=AM", "--", name).decode().strip()
    if not commit:
        return None
    entry = repo.git.run("ls-tree", "-z", "--full-tree", commit, "--", path)
    blob = entry.partition(b"\t")[0].split()[-1:]
    if not blob:
        return None
    (data,) = read_blobs(repo.git, [blob[0].decode()], limit=dsse.MAX_SIZE).values()
    return data


def _others(repo: Repo, one: Recorded, path: bytes, payload: bytes) -> tuple[Signature, ...]:
    """Return the signatures that are there already, over the same statement."""
    data = _signature_file(repo, path)
    if data is None:
        return ()
    envelope = dsse.decode(data)
    if envelope.payload == payload:
        return envelope.signatures
    why = judging.misfit(envelope.payload, one)
    shown = show(repo.display(path))
    if why:
        raise CorruptError(f"{shown} is not about this record: {why}", hint=f"move {shown} away")
    raise RefusedError(
        f"another statement of this record was signed before: {shown}",
        hint="'dver fetch' brings the bytes that hashes are taken of; or move that file away",
    )


def _make(repo: Repo, options: SignOptions, message: bytes) -> tuple[Signature, str]:
    """Return a signature, and its public key as OpenSSH writes it."""
    if options.key is not None:
        data, public = pemkeys.sign(os.path.join(repo.cwd, options.key), message)
        return Signature(_fingerprint_of(public), data), public
    with tempfile.TemporaryDirectory(prefix="dver-key-") as directory:
        data = sshkeys.sign(_ssh_key(repo, options, directory), message, repo.environ)
    key = sshkeys.public_key_of(data)
    return Signature(signers.fingerprint(key), data), sshkeys.public_text(key)


def _fingerprint_of(public: str) -> str:
    import base64

    return signers.fingerprint(base64.b64decode(public.split()[1]))


def _ssh_key(repo: Repo, options: SignOptions, directory: str) -> str:
    if options.ssh_key is not None:
        return os.path.join(repo.cwd, os.path.expanduser(options.ssh_key))
    key = _config(repo, "user.signingkey") if _config(repo, "gpg.format") == "ssh" else ""
    if not key:
        raise UsageError(
            "which key to sign with?",
            hint="--ssh-key ~/.ssh/id_ed25519, --key FILE.pem, or git's gpg.format ssh"
            " and user.signingkey",
        )
    literal = key.removeprefix("key::")
    if literal.startswith(("ssh-", "ecdsa-", "sk-")):
        path = os.path.join(directory, "key.pub")
        fsio.write_atomic(path, literal.encode() + b"\n", durable=False)
        return path
    return os.path.join(repo.root, os.path.expanduser(key))


def _config(repo: Repo, key: str) -> str:
    out = repo.git.run("config", "--get", key, answers=(0, 1))
    return os.fsdecode(out).rstrip("\n")
