"""An HTTP proxy before an S3 server that does to requests what networks and servers do.

What happens to a request is decided by the seed, its method, what it is about (``packs``,
``index``, ``roots``, a listing, ...) and how many of that sort there were: not by the order in
which threads happen to send. ``done`` counts what was done, by the names in :data:`FAULTS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from dver.storage.s3.credentials import Credentials
from dver.storage.s3.signing import EMPTY_SHA256, encode_query, sign
from tests.bench.proxy import read_head
from tests.support.s3server import S3Server

_LIMIT = 1 << 20
#: What may happen, before the server knows of the request or after it has carried it out.
FAULTS = (
    "reset before",
    "reset after",
    "refused",
    "refused early",
    "refused after",
    "stall before",
    "stall after",
    "half",
    "half, then stall",
    "error with 200",
    "error with 200 after",
    "too long",
    "too short",
    "twice",
    "twice, late",
    "cut XML",
)
#: Not among them, since no client can tell it from damage but by the content's hash.
FLIPPED = "flipped"
_ONLY_PUT = frozenset({"twice", "twice, late"})
_ONLY_LIST = frozenset({"cut XML"})
_REFUSALS = (
    (500, "InternalError", None),
    (503, "SlowDown", "1"),
    (503, "ServiceUnavailable", None),
    (429, "TooManyRequests", "2"),
    (502, "", None),
)


class HangUpError(Exception):
    """The client's connection ends here, with a reset if ``reset``."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


@dataclass
class Message:
    """A request or an answer, all of it: the first line, the headers as they came, the body."""

    first: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key.lower() == name), b"")

    def head(self, *, length: int | None = None) -> bytes:
        """Return the head, with another Content-Length if one is given."""
        dropped = {b"transfer-encoding", b"connection"}
        if length is not None:
            dropped.add(b"content-length")
        lines = [self.first]
        lines += [
            name + b": " + value for name, value in self.headers if name.lower() not in dropped
        ]
        if length is not None:
            lines.append(b"Content-Length: %d" % length)
        return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass
class Plan:
    """What the proxy does: each request has ``rate`` to fail, by ``seed``.

    ``page`` is how many keys a listing's page has at most. ``stall`` is in seconds, and longer than
    the client waits.
    """

    seed: str
    rate: float
    page: int | None = None
    stall: float = 1.3
    faults: tuple[str, ...] = field(default=FAULTS, repr=False)


class Flaky:
    """Forwards to a server while its thread runs. Without a plan nothing goes wrong."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.upstream = urlsplit(server.endpoint)
        self.endpoint = ""
        self.plan: Plan | None = None
        self.done: Counter[str] = Counter()
        self.log: list[str] = []
        self._counts: Counter[str] = Counter()
        self._later: set[asyncio.Task[None]] = set()

    def follow(self, plan: Plan | None) -> None:
        """Begin anew with a plan; None from now on lets everything pass."""
        self.plan = plan
        self._counts.clear()
        self.log.clear()

    # -- what to do ------------------------------------------------------------------------------

    def _choose(self, method: str, target: str, plan: Plan) -> str | None:
        sort = f"{method} {_about(target)}"
        self._counts[sort] += 1
        rng = random.Random(f"{plan.seed} {sort} {self._counts[sort]}")
        if rng.random() >= plan.rate:
            return None
        possible = [
            one
            for one in plan.faults
            if (method == "PUT" or one not in _ONLY_PUT)
            and ("LIST" in sort or one not in _ONLY_LIST)
            and ("LIST" not in sort or one != FLIPPED)
        ]
        fault = rng.choice(possible) if possible else None
        if fault is not None:
            self.done[fault] += 1
            self.log.append(f"{sort} {self._counts[sort]}: {fault}")
        return fault

    # -- serving ---------------------------------------------------------------------------------

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Serve one client's connection, request by request."""
        reset = False
        try:
            while True:
                await self._exchange(client, answer)
        except HangUpError as error:
            reset = error.reset
        except (EOFError, ConnectionError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # either side has hung up, which is how connections end, or the proxy ends
        finally:
            if reset:
                linger = struct.pack("ii", 1, 0)
                answer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                answer.transport.abort()
            answer.close()

    async def _exchange(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        head, headers = await read_head(client)
        request = _message(head)
        method, target, _ = request.first.decode("ascii").split(" ")
        plan = self.plan
        fault = None if plan is None else self._choose(method, target, plan)
        rng = random.Random(f"{plan and plan.seed} {self.log[-1:]}")
        if fault == "refused early":
            answer.write(_refusal(rng, method))
            await answer.drain()
            raise HangUpError(reset=rng.random() < 0.5)
        request.body = await client.readexactly(int(headers.get(b"content-length", b"0")))
        if plan is not None and plan.page is not None and "list-type=2" in target:
            request = self._short_page(request, target, plan.page)
        if fault == "reset before":
            raise HangUpError(reset=True)
        if fault == "stall before":
            await self._stall(plan)
        if fault in ("refused", "error with 200"):
            early = _refusal(rng, method) if fault == "refused" else _error_with_200(method)
            answer.write(early)
            await answer.drain()
            return
        got = await self._ask(request, method)
        if fault == "twice":
            got = await self._ask(request, method)
        if fault == "twice, late":
            self._repeat_later(request, method, rng.uniform(0.02, 0.4))
        await self._answer(answer, method, got, fault, rng)

    async def _answer(
        self,
        answer: asyncio.StreamWriter,
        method: str,
        got: Message,
        fault: str | None,
        rng: random.Random,
    ) -> None:
        """Answer what the server did, well or badly."""
        size = len(got.body)
        bodiless = method == "HEAD" or got.first.split(b" ")[1] in (b"204", b"304")
        if fault == "reset after":
            raise HangUpError(reset=True)
        if fault == "stall after":
            await self._stall(self.plan)
        if fault in ("refused after", "error with 200 after"):
            late = _refusal(rng, method) if fault == "refused after" else _error_with_200(method)
            answer.write(late)
        elif fault in ("half", "half, then stall") and not bodiless:
            answer.write(got.head(length=size) + got.body[: rng.randrange(size + 1) // 2])
            await answer.drain()
            if "stall" in fault:
                await self._stall(self.plan)
            raise HangUpError(reset=rng.random() < 0.5)
        elif fault == "too long" and not bodiless:
            answer.write(got.head(length=size + rng.randrange(1, 100)) + got.body)
            await answer.drain()
            raise HangUpError(reset=False)
        elif fault == "too short" and size:
            answer.write(got.head(length=rng.randrange(size)) + got.body)
        elif fault == "cut XML":
            cut = rng.randrange(size)
            answer.write(got.head(length=cut) + got.body[:cut])
        else:
            if fault == FLIPPED and size and not bodiless:
                at = rng.randrange(size)
                flipped = bytes([got.body[at] ^ 1 << rng.randrange(8)])
                got.body = got.body[:at] + flipped + got.body[at + 1 :]
            answer.write(got.head(length=None if bodiless else size))
            answer.write(b"" if bodiless else got.body)
        await answer.drain()

    async def _stall(self, plan: Plan | None) -> None:
        await asyncio.sleep(plan.stall if plan else 1.0)
        raise HangUpError(reset=False)

    async def _ask(self, request: Message, method: str) -> Message:
        server, forward = await asyncio.open_connection(
            self.upstream.hostname, self.upstream.port, limit=_LIMIT
        )
        try:
            forward.write(request.head() + request.body)
            await forward.drain()
            head, headers = await read_head(server)
            got = _message(head)
            status = int(got.first.split(b" ")[1])
            if method != "HEAD" and status not in (204, 304):
                got.body = await _body(server, headers)
            return got
        finally:
            forward.close()

    def _repeat_later(self, request: Message, method: str, seconds: float) -> None:
        async def repeat() -> None:
            await asyncio.sleep(seconds)
            with contextlib.suppress(EOFError, ConnectionError):
                await self._ask(request, method)

        task = asyncio.get_running_loop().create_task(repeat())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _short_page(self, request: Message, target: str, keys: int) -> Message:
        """Return a request for a listing that asks for fewer keys, signed anew."""
        path, _, text = target.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        query["max-keys"] = str(min(keys, int(query.get("max-keys", "1000"))))
        host = request.get(b"host").decode()
        text = encode_query(list(query.items()))
        headers = sign(
            Credentials(self.server.access_key, self.server.secret_key),
            "us-east-1",
            "GET",
            path,
            text,
            {"host": host},
            EMPTY_SHA256,
            time.time(),
        )
        first = f"GET {path}?{text} HTTP/1.1".encode()
        return Message(first, [(n.encode(), v.encode()) for n, v in headers.items()])

    async def settle(self) -> None:
        """Wait until nothing comes late any more."""
        while self._later:
            await asyncio.gather(*self._later)


def _about(target: str) -> str:
    """Say what a request is about, without random names: ``LIST``, ``packs``, ``format.json``."""
    path, _, query = target.partition("?")
    if "list-type=2" in query:
        prefix = dict(parse_qsl(query)).get("prefix", "")
        return "LIST " + (re.split(r"[/]", prefix)[-2] if "/" in prefix else "")
    # /bucket/prefix/kind/name
    parts = unquote(path).split("/")
    return parts[3] if len(parts) > 3 else "bucket"


def _message(head: bytes) -> Message:
    first, *lines = head.split(b"\r\n")[:-2]
    pairs = (line.partition(b":") for line in lines)
    return Message(first, [(name.strip(), value.strip()) for name, _, value in pairs])


async def _body(server: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b""
        while size := int((await server.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await server.readexactly(size + 2))[:-2]
        await server.readuntil(b"\r\n")
        return body
    if b"content-length" in headers:
        return await server.readexactly(int(headers[b"content-length"]))
    return await server.read()


def _refusal(rng: random.Random, method: str) -> bytes:
    status, code, wait = rng.choice(_REFUSALS)
    body = b"" if method == "HEAD" else _error(code)
    retry = f"Retry-After: {wait}\r\n" if wait else ""
    return (
        f"HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\n{retry}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _error_with_200(method: str) -> bytes:
    body = b"" if method == "HEAD" else _error("InternalError")
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _error(code: str) -> bytes:
    if not code:
        return b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>made to fail</Message></Error>"
    ).encode()


@contextlib.contextmanager
def flaky(server: S3Server) -> Iterator[Flaky]:
    """Run a flaky proxy on loopback in a thread of its own."""
    one = Flaky(server)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(
        asyncio.start_server(one.serve, "127.0.0.1", 0, limit=_LIMIT, backlog=256)
    )
    one.endpoint = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield one
        asyncio.run_coroutine_threadsafe(one.settle(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(_end_tasks())
        listening.close()
        loop.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
