"""An HTTP proxy before one server: it delays each request, and counts requests and bytes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_PIECE = 1 << 18


@dataclass
class Counts:
    """Requests by method, and bytes of bodies from the clients (``sent``) and to them."""

    methods: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0

    @property
    def requests(self) -> int:
        return self.methods.total()


class Proxy:
    """Forwards to ``host:port`` while its thread runs. ``counts`` starts anew with ``reset``."""

    def __init__(self, host: str, port: int, latency: float) -> None:
        self.upstream = host, port
        self.latency = latency
        self.counts = Counts()
        self.endpoint = ""

    def reset(self) -> None:
        self.counts = Counts()

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Forward one client's connection, request by request."""
        server, forward = await asyncio.open_connection(*self.upstream, limit=_PIECE)
        try:
            while True:
                await self.exchange(client, answer, server, forward)
        except (EOFError, ConnectionError, asyncio.LimitOverrunError):
            pass  # either side has hung up, which is how connections end
        finally:
            forward.close()
            answer.close()

    async def exchange(
        self,
        client: asyncio.StreamReader,
        answer: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        forward: asyncio.StreamWriter,
    ) -> None:
        """Forward one request and its response."""
        head, headers = await read_head(client)
        method = head.split(b" ", 1)[0].decode("ascii")
        self.counts.methods[method] += 1
        if headers.get(b"expect", b"").lower() == b"100-continue":
            # Answered here: the server would answer in the middle of the delay.
            lines = head.split(b"\r\n")
            head = b"\r\n".join(one for one in lines if not one.lower().startswith(b"expect:"))
            answer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.latency:
            await asyncio.sleep(self.latency)
        forward.write(head)
        self.counts.sent += await relay(client, forward, headers, until_closed=False)
        head, headers = await read_head(server)
        status = int(head.split(b" ", 2)[1])
        answer.write(head)
        if method == "HEAD" or status in (204, 304):
            await answer.drain()
        else:
            self.counts.received += await relay(server, answer, headers, until_closed=True)
        if headers.get(b"connection", b"").lower() == b"close":
            raise EOFError


async def read_head(reader: asyncio.StreamReader) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the head of a message as it came, and its headers by lower-case name."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = {}
    for one in head.split(b"\r\n")[1:-2]:
        name, _, value = one.partition(b":")
        headers[name.strip().lower()] = value.strip()
    return head, headers


async def relay(
    source: asyncio.StreamReader,
    target: asyncio.StreamWriter,
    headers: dict[bytes, bytes],
    *,
    until_closed: bool,
) -> int:
    """Forward a message's body; return how many bytes it has."""
    total = 0
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        while True:
            line = await source.readuntil(b"\r\n")
            target.write(line)
            size = int(line.split(b";")[0], 16)
            total += await copy(source, target, size + 2) - 2
            if not size:
                return total
    if b"content-length" in headers:
        return await copy(source, target, int(headers[b"content-length"]))
    if until_closed:
        while data := await source.read(_PIECE):
            target.write(data)
            await target.drain()
            total += len(data)
        raise EOFError
    await target.drain()
    return 0


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, size: int) -> int:
    """Forward exactly ``size`` bytes."""
    left = size
    while left:
        data = await source.read(min(left, _PIECE))
        if not data:
            raise EOFError
        target.write(data)
        await target.drain()
        left -= len(data)
    await target.drain()
    return size


@contextlib.contextmanager
def proxy(host: str, port: int, *, latency: float = 0.0) -> Iterator[Proxy]:
    """Run a proxy on loopback in a thread of its own."""
    one = Proxy(host, port, latency)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(
        asyncio.start_server(one.serve, "127.0.0.1", 0, limit=_PIECE, backlog=1024)
    )
    one.endpoint = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(end_tasks())
        listening.close()
        loop.close()


async def end_tasks() -> None:
    """Cancel what still waits for clients."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
