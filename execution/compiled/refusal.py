"""Compile the one answer to what goes wrong that must be cheap: an expected failure.

Under overload most answers are refusals. Were graphql-core to write them, each would cost more than
an order does, and the service could do less the more is asked of it.
"""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLNonNull, get_location
from graphql.execution.collect_fields import FieldDetails

from db.errors import Bistro92Error
from db.stats import rejections

Failure = Callable[[Bistro92Error], dict[str, Any]]


def compile_failure(kind: object, key: str, fields: list[FieldDetails]) -> Failure:
    """Return a function from what an operation's only root field has raised to the response."""
    data = None if isinstance(kind, GraphQLNonNull) else {key: None}
    places = [field.node.loc for field in fields]
    locations = [get_location(loc.source, loc.start).formatted for loc in places if loc]

    def respond(error: Bistro92Error) -> dict[str, Any]:
        rejections[error.code] += 1
        described = {
            "message": str(error),
            "locations": locations,
            "path": [key],
            "extensions": {"code": error.code},
        }
        return {"data": data, "errors": [described]}

    return respond
