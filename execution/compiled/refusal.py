"""Compile the one answer to what goes wrong that must be cheap: an expected failure.

Under overload most answers are refusals. Were graphql-core to write them, each would cost more than
an order does, and the service could do less the more is asked of it.
"""

from collections.abc import Callable

from graphql import GraphQLFormattedError, GraphQLNonNull, get_location
from graphql.execution.collect_fields import FieldDetails

from db.errors import Bistro92Error
from db.stats import rejections
from execution.errors import code_of_cause
from execution.response import Response, executed

Refusal = Callable[[Bistro92Error], Response]


def compile_refusal(kind: object, key: str, fields: list[FieldDetails]) -> Refusal:
    """Return a function from what an operation's only root field has raised to the response."""
    data = None if isinstance(kind, GraphQLNonNull) else {key: None}
    places = [field.node.loc for field in fields]
    locations = [get_location(loc.source, loc.start).formatted for loc in places if loc]

    def respond(error: Bistro92Error) -> Response:
        code = code_of_cause(error)
        rejections[code.name] += 1
        described: GraphQLFormattedError = {
            "message": str(error),
            "locations": locations,
            "path": [key],
            "extensions": {"code": code.name},
        }
        return executed(data, [described], [code])

    return respond
