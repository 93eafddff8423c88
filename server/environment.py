"""Settings from the environment: a wrong one is told in a sentence that names it."""

import difflib
import os

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from db.errors import StartError
from server.settings import ENV_PREFIX, SENTENCE, Settings

# Read by the tests, not by the service.
_TEST_PREFIX = "BISTRO92_TEST_"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises `StartError` for a value that is not allowed, and for an unknown name with the prefix:
    a misspelt setting would otherwise be a default that nobody asked for.
    """
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        given = name.upper()
        if (
            given.startswith(ENV_PREFIX)
            and not given.startswith(_TEST_PREFIX)
            and given not in known
        ):
            near = difflib.get_close_matches(given, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise StartError(f"{name} is not a setting of Bistro92.{hint}")
    try:
        return Settings()
    except ValidationError as error:
        raise StartError(" ".join(map(_problem_of_setting, error.errors()))) from None


def _problem_of_setting(problem: ErrorDetails) -> str:
    if not problem["loc"]:  # of several settings together: the message names them
        return f"{problem['msg']}."
    name = f"{ENV_PREFIX}{'.'.join(map(str, problem['loc'])).upper()}"
    if problem["type"] == SENTENCE:
        return f"{name}: {problem['msg']}"
    return f"{name}: {problem['msg']}, not {problem['input']!r}."
