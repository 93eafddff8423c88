"""A wire between clients and the server that is cut in the middle of what it carries."""

import asyncio
import contextlib
import random
import socket
import struct
from types import TracebackType

_RECEIVE_BYTES = 16_384


class CuttingProxy:
    """Passes bytes on. `cut` ends connections after part of what they carry next, by a reset."""

    def __init__(self, port: int) -> None:
        self._to_port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut_after: dict[asyncio.StreamWriter, int] = {}
        self._writers: list[asyncio.StreamWriter] = []
        self.cuts = 0
        self.url = ""

    def cut(self) -> None:
        """Cut every connection within the next bytes that pass, in either direction."""
        for writer in self._writers:
            self._cut_after[writer] = random.randint(1, 400)

    async def __aenter__(self) -> "CuttingProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for end in self._writers:
            reset(end)
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            reset(writer)
            return
        ends = [writer, far_writer]
        self._writers += ends
        ways = [self._pass(reader, far_writer), self._pass(far_reader, writer)]
        passing = {asyncio.create_task(way) for way in ways}
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in passing:
                way.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            for end in ends:
                reset(end)
                self._writers.remove(end)
                self._cut_after.pop(end, None)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_RECEIVE_BYTES):
                left = self._cut_after.get(writer)
                if left is not None and len(data) > left:
                    writer.write(data[:left])
                    self.cuts += 1
                    return
                if left is not None:
                    self._cut_after[writer] = left - len(data)
                writer.write(data)
                await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST, as a machine does that has lost it."""
    inner = writer.get_extra_info("socket")
    if inner is not None and inner.fileno() >= 0:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
