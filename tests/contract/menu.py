"""A schema that is richer and worse behaved than ours, to compare the two ways of execution on.

What resolvers return depends only on their arguments: right values, nulls where none may be,
values of another type, exceptions. Every call is noted in the context.
"""

from dataclasses import dataclass, field
from typing import Any

import strawberry

from db.errors import OverloadedError
from db.tokens import Role
from execution.engine import Engine
from schema.roles import allowed_to


@dataclass
class MenuContext:
    """Stands where `resolvers.context.Context` stands."""

    request_id: str = "request"
    calls: list[tuple[str, str]] = field(default_factory=list)

    def may_use(self, roles: frozenset[Role]) -> bool:
        """Let everybody do everything: it is not what is compared."""
        return True


Info = strawberry.Info[MenuContext, None]


@dataclass
class Record:
    """Has any value in any attribute."""

    name: Any = "soup"
    note: Any = None
    price: Any = 7
    vegan: Any = True
    rating: Any = 4.5
    code: Any = 12
    tags: Any = ("hot", "thick")
    notes: Any = ("a", None)
    side: Any = None
    sides: Any = ()


BEHAVIOURS: dict[str, Any] = {
    "good": Record(side=Record(name="bread"), sides=[Record(name="x"), None, Record(note="y")]),
    "empty": Record(tags=[], notes=None, sides=[]),
    "null": None,
    "null name": Record(name=None),
    "null in side": Record(side=Record(name=None)),
    "null in sides": Record(sides=[Record(), Record(price=None, name=None), Record(tags=None)]),
    "null tag": Record(tags=["a", None]),
    "text for price": Record(price="many"),
    "text like a price": Record(price="12"),
    "huge price": Record(price=2**40),
    "number for name": Record(name=12, note=1.5),
    "list for name": Record(name=["a"]),
    "text for tags": Record(tags="tags"),
    "generator of tags": Record(tags=(str(tag) for tag in range(0))),
    "mapping for tags": Record(tags={"a": 1}),
    "exception for name": Record(name=ValueError("a value")),
    "no attributes": 7,
    "raise": RuntimeError("secret"),
    "overloaded": OverloadedError("Too many."),
}


def act(info: Info, call: str, arguments: object, behaviour: str) -> Any:
    """Note the call, and return or raise what the behaviour says."""
    info.context.calls.append((call, repr(arguments)))
    outcome = BEHAVIOURS.get(behaviour, BEHAVIOURS["good"])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@strawberry.type
class Dish:
    name: str
    note: str | None
    price: int
    vegan: bool
    rating: float
    code: strawberry.ID
    tags: list[str]
    notes: list[str | None] | None
    side: "Dish | None"
    sides: list["Dish | None"]


@strawberry.input
class Extra:
    name: str
    amount: int | None = strawberry.UNSET


@strawberry.input
class CookInput:
    behaviour: str
    extras: list[Extra] | None = strawberry.UNSET
    first_extra: Extra | None = strawberry.UNSET
    weight: float | None = strawberry.UNSET
    codes: list[strawberry.ID | None] | None = strawberry.UNSET


async def _dish(info: Info, behaviour: str, spicy: bool | None = strawberry.UNSET) -> Any:
    return act(info, "dish", (behaviour, spicy), behaviour)


async def _dishes(info: Info, behaviours: list[str], first: int | None = strawberry.UNSET) -> Any:
    return [act(info, "dishes", (behaviours, first), behaviour) for behaviour in behaviours]


async def _count(info: Info, number: int | None = strawberry.UNSET) -> Any:
    return act(info, "count", number, "good") and number


async def _cook(info: Info, input: CookInput) -> Any:  # noqa: A002
    return act(info, "cook", input, input.behaviour)


ANYONE = allowed_to(*Role)


@strawberry.type
class Query:
    dish = strawberry.field(resolver=_dish, graphql_type=Dish | None, metadata=ANYONE)
    sure_dish = strawberry.field(resolver=_dish, graphql_type=Dish, metadata=ANYONE)
    dishes = strawberry.field(
        resolver=_dishes, graphql_type=list[Dish | None] | None, metadata=ANYONE
    )
    sure_dishes = strawberry.field(resolver=_dishes, graphql_type=list[Dish], metadata=ANYONE)
    count = strawberry.field(resolver=_count, graphql_type=int | None, metadata=ANYONE)


@strawberry.type
class Mutation:
    cook = strawberry.field(resolver=_cook, graphql_type=Dish | None, metadata=ANYONE)
    sure_cook = strawberry.field(resolver=_cook, graphql_type=Dish, metadata=ANYONE)


def build_menu() -> Engine:
    """Build the engine as `execution.engine` builds ours."""
    return Engine(strawberry.Schema(query=Query, mutation=Mutation))
