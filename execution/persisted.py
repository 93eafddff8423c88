"""Queries that are sent by their hash (automatic persisted queries): none are kept here.

Apollo's `PersistedQueryLink` and urql's `persistedExchange` send the hash alone at first. On this
message (urql) or this code (Apollo) they send the query itself, and go on like that.
"""

from collections.abc import Mapping

NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
# Not a sentence: urql compares it.
NOT_SUPPORTED_MESSAGE = "PersistedQueryNotSupported"


def is_hash_only(parameters: Mapping[str, object]) -> bool:
    """Tell whether a request names its query by a hash, and doesn't have the query itself."""
    extensions = parameters.get("extensions")
    return (
        parameters.get("query") in (None, "")
        and isinstance(extensions, dict)
        and extensions.get("persistedQuery") is not None
    )
