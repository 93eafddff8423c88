"""The shape of messages that clients send: Strawberry's handler expects it to be right."""

# An id is sent back with every event. Clients make UUIDs and numbers.
_ID_MAX_CHARACTERS = 256


def problem_of(message: object) -> str | None:
    """Return what is wrong with a message's shape, if anything."""
    if not isinstance(message, dict):
        return "A message must be an object"
    kind = message.get("type")
    if not isinstance(kind, str):
        return "A message must have a type"
    if kind in ("subscribe", "complete") and not _is_id(message.get("id")):
        return f"The id of {kind} must be a string of 1–{_ID_MAX_CHARACTERS} characters"
    if kind in ("ping", "pong") and not isinstance(message.get("payload"), dict | None):
        return f"The payload of {kind} must be an object"
    # What is in it is the operation's own: see `execution.request`.
    if kind == "subscribe" and not isinstance(message.get("payload"), dict):
        return "The payload of subscribe must be an object"
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _ID_MAX_CHARACTERS
