"""Who a request or a socket belongs to, for limits that are each client's own."""

from functools import lru_cache
from ipaddress import IPv4Address, ip_address

from starlette.types import Scope

from resolvers.context import Caller

# An IPv6 subscriber has at least this many leading bits to themselves, and all addresses below.
_IPV6_SUBSCRIBER_BITS = 64
_ADDRESS_MAX_CHARACTERS = 64


def client_key(scope: Scope, caller: Caller | None = None) -> str:
    """Return the id of the caller's token, if there is one, else the address.

    An IPv6 address counts as its /64: it costs nothing to have a million in one of those.
    """
    if caller is not None and caller.token_id is not None:
        return f"token {caller.token_id}"
    client = scope.get("client")
    return "unknown" if client is None else network_of(client[0])


def network_of(address: str) -> str:
    """Return the part of an address that its owner can't change, at most 64 characters."""
    # What a proxy forwards may be a name of any length: keys are kept, so they must be short.
    return _network_of(address[:_ADDRESS_MAX_CHARACTERS])


@lru_cache(maxsize=4096)
def _network_of(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:  # a proxy may forward a name
        return text
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    below = 128 - _IPV6_SUBSCRIBER_BITS
    return str(ip_address(int(address) >> below << below)) + f"/{_IPV6_SUBSCRIBER_BITS}"
