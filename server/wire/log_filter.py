"""Keep tokens out of the log of connections, at every level that the log can have."""

import logging
import re
from pathlib import Path

import websockets

_WEBSOCKETS = str(Path(websockets.__file__).parent)
_TOKEN = re.compile(r"(b92_[0-9a-f]{8})_[0-9a-f]+", re.ASCII)


def hide_tokens() -> None:
    """Keep frames, headers and tokens out of what uvicorn and websockets log."""
    log = logging.getLogger("uvicorn.error")
    if not any(isinstance(present, _NoTokens) for present in log.filters):
        log.addFilter(_NoTokens())


class _NoTokens(logging.Filter):
    """Drops what is said about single frames and headers, and cuts tokens elsewhere (URLs)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be logged."""
        # Some of these are shortened in the middle of a token, which no pattern would find.
        if record.levelno <= logging.DEBUG and record.pathname.startswith(_WEBSOCKETS):
            return False
        message = record.getMessage()
        if "b92_" in message:
            record.msg, record.args = _TOKEN.sub(r"\1_…", message), ()
        return True
