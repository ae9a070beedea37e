"""The network between operators and the API server, on loopback: slow, broken off, silent, or with a busy server.

One port passes bytes on, so that TLS and certificates stay between client and server. Behind the other the proxy has
the API server's own certificate and reads requests, so that it can answer some of them in the server's place.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.02
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Server:
    """The API server behind the proxy, its certificate, and the identity with which the proxy asks it."""

    port: int
    certificate: tuple[str, str]
    client: tuple[str, str]
    authority: Path


class Proxy:
    """What the network is like now is in its attributes, which any thread may set; ``hit`` counts what was affected."""

    def __init__(self, server: Server) -> None:
        self.latency = 0.0
        self.silent = False
        self.broken = False
        self.refusing: tuple[int, float] | None = None
        self.dice = random.Random()  # noqa: S311
        self.hit = 0
        self._server = server
        self._open: set[asyncio.StreamWriter] = set()
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._listen(self._pass_on, None)
        self.answering_port = self._listen(self._answer, self._context())

    def close(self) -> None:
        """End all connections, and listen no more."""
        asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def break_off(self) -> int:
        """Reset every connection, as a router does that has lost its table; return how many."""
        return asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result()

    def _listen(self, handler, tls: ssl.SSLContext | None) -> int:
        started = asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls)
        server = asyncio.run_coroutine_threadsafe(started, self._loop).result()
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._server.certificate)
        return context

    async def _reset_all(self) -> int:
        found = list(self._open)
        for writer in found:
            _reset(writer)
        return len(found)

    async def _end_all(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on in both directions until one side ends."""
        if self.broken:
            self.hit += 1
            _reset(writer)
            return
        await self._weather()
        with suppress(OSError):
            there = await asyncio.open_connection("127.0.0.1", self._server.port)
            await self._between((reader, writer), there)
            return
        _reset(writer)

    async def _between(self, here, there) -> None:
        self._open |= {here[1], there[1]}
        copies = [
            asyncio.create_task(self._copy(here[0], there[1])),
            asyncio.create_task(self._copy(there[0], here[1])),
        ]
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        await self._end(copies, here[1], there[1])

    async def _end(self, tasks, *writers: asyncio.StreamWriter) -> None:
        for task in tasks:
            task.cancel()
        for writer in writers:
            self._open.discard(writer)
            writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._weather()
                writer.write(data)
                await writer.drain()

    async def _weather(self) -> None:
        if self.latency:
            self.hit += 1
            await asyncio.sleep(self.latency * self.dice.uniform(0.5, 1.5))
        self.hit += self.silent
        while self.silent:
            await asyncio.sleep(_POLL_SECONDS)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests: answer those that are refused, and pass the others on to the API server.

        A client sends no request before it has the last one's answer, so answers need not be told apart.
        """
        context = ssl.create_default_context(cafile=str(self._server.authority))
        context.load_cert_chain(*self._server.client)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._server.port, ssl=context)
            self._open |= {writer, there}
            back = asyncio.create_task(self._copy(there_reader, writer))
            back.add_done_callback(lambda _: writer.close())
            try:
                while True:
                    request = await _request(reader)
                    refused = self.refusing
                    if refused and self.dice.random() < refused[1]:
                        self.hit += 1
                        writer.write(_refusal(refused[0]))
                    else:
                        there.write(request)
                    await writer.drain()
            finally:
                await self._end([back], writer, there)
        writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with its body. Raises IncompleteReadError where the client has ended."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def _refusal(code: int) -> bytes:
    """Return the answer of an API server that is too busy (429) or fails (500)."""
    reason = {429: "TooManyRequests", 500: "InternalError"}[code]
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code}
    body = json.dumps(status | {"message": "injected by a test"}).encode()
    head = [f"HTTP/1.1 {code} {reason}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    head += ["Retry-After: 1"] if code == 429 else []
    return "\r\n".join([*head, "", ""]).encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST instead of FIN."""
    with suppress(OSError):
        found = writer.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
