"""The rules of sockets, as settings give them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketRules:
    """What a socket's client may do, and how long it may be silent."""

    max_operations: int
    connection_init_timeout_seconds: float
    ping_interval_seconds: float
    silence_timeout_seconds: float
