"""What requests under way may do with their connection: uvicorn's ways, with our say in them."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class HoldingFlow(FlowControl):
    """Reading goes on only while nothing is held back, whatever a request under way asks for."""

    is_holding = False

    def resume_reading(self) -> None:
        """Read on, unless what was read before is still to be parsed."""
        if not self.is_holding:
            super().resume_reading()


class CycleTransport:
    """The connection as the answer to one request has it: it writes, and may be the last one."""

    def __init__(
        self,
        transport: asyncio.Transport,
        write: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> None:
        self.is_closing = transport.is_closing
        self.write = write
        self.close = close
