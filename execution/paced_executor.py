"""graphql-core's executor, held to turns and to an end.

It completes a page of orders in one go, at some 10 µs a value: a second for a large one, in which
nobody else would be answered.
"""

from collections.abc import Collection
from typing import Any

from graphql import GraphQLList, GraphQLObjectType, get_named_type
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from db.turns import in_turns
from execution.codes import Code
from execution.errors import AnswerTooLargeError, RefusedOperationError

# Shorter lists are completed in one go, which is twice as fast.
_LONG_LIST_ITEMS = 16


def _has_more_values(variables: object, limit: int) -> bool:
    """Tell whether JSON has more values than `limit`, objects and lists included."""
    waiting, left = [variables], limit
    while waiting and left >= 0:
        value = waiting.pop()
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            left -= len(value)
            waiting.extend(value)
    return left < 0


def _is_within_list(path: Any) -> bool:
    """Tell whether a list is part of another one, between whose items there are turns already."""
    while path is not None:
        if isinstance(path.key, int):
            return True
        path = path.prev
    return False


class PacedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes one operation; each engine has a subclass with what it allows."""

    max_values: int
    max_variable_values: int | None
    suggests_names: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._values = 0

    @classmethod
    def build(cls, *args: Any, **kwargs: Any) -> Any:
        """Build an executor, or return what is wrong with the request's variables."""
        kwargs["hide_suggestions"] = not cls.suggests_names
        # As graphql-core's `execute` and `subscribe` pass them.
        variables, limit = args[4] or {}, cls.max_variable_values
        if limit is not None and _has_more_values(variables, limit):
            message = f"The variables of a request have at most {limit} values."
            return [RefusedOperationError(Code.VARIABLES_TOO_LARGE, message)]
        return super().build(*args, **kwargs)

    def complete_list_value(
        self,
        return_type: GraphQLList[Any],
        field_details_list: Any,
        info: Any,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete a list, a long one in turns."""
        if isinstance(result, Collection):
            self._count(return_type, field_details_list, len(result))
            if len(result) >= _LONG_LIST_ITEMS and not _is_within_list(path):
                result = in_turns(result)
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def _count(self, kind: GraphQLList[Any], field_details_list: Any, items: int) -> None:
        of_kind = get_named_type(kind)
        fields = 1
        if isinstance(of_kind, GraphQLObjectType):
            fields = len(self.collect_subfields(of_kind, field_details_list).grouped_field_set)
        self._values += items * fields
        # What a mutation has done must be told, whatever it selects.
        if self._values > self.max_values and self.operation.operation.value != "mutation":
            raise AnswerTooLargeError(self.max_values)
