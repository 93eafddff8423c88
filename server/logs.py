"""How the service logs: one structlog pipeline for its own loggers, uvicorn's and all others.

Modules log with the standard library. A record's fields are the ones named here: whoever logs for
a request passes `extra={"request_id": …}`.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Only these: a library may put anything into `extra`, also what nobody should read in a log.
_FIELDS = ("request_id",)
_PATH_MAX_CHARACTERS = 100

_COMMON: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(allow=_FIELDS),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class WithoutQueryStrings(logging.Filter):
    """Takes query strings out of uvicorn's lines about sockets: a client may put secrets there.

    A path is cut as well: strangers choose how long it is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, changed if need be."""
        if '"WebSocket %s"' in str(record.msg) and isinstance(record.args, tuple):
            client, path, *others = record.args
            shown = str(path).partition("?")[0][:_PATH_MAX_CHARACTERS]
            record.args = (client, shown, *others)
        return True


def _without_empty_lines(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Strip an event: uvicorn ends some with a line break."""
    event["event"] = str(event["event"]).strip()
    return event


def _renderers(log_format: str) -> list[Processor]:
    if log_format == "json":
        # As text: the structured tracebacks of structlog show local variables, orders among them.
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The default formatter is rich's where that is installed, with local variables again.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def log_config(level: str, log_format: str) -> dict[str, Any]:
    """Return the configuration of `logging`: everything goes to stderr, one event a line.

    `log_format` is `console` or `json`.

    (A traceback takes more lines in the console format, not in JSON.) Other libraries are heard
    from `warning` on: at `debug` the driver logs the statements with what they store.
    """
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*_COMMON, _without_empty_lines],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderers(log_format),
        ],
    }
    level = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"without_query_strings": {"()": WithoutQueryStrings}},
        "formatters": {"default": formatter},
        "handlers": {
            "default": {
                "class": "logging.StreamHandler",
                "formatter": "default",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["default"], "level": "WARNING"},
        "loggers": {
            "bistro92": {"level": level},
            "uvicorn.error": {"level": level, "filters": ["without_query_strings"]},
        },
    }
