"""Are the answers right? Looked at after the measured window, so that looking costs nothing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench.dialects import Dialect, Json
from bench.load.http import Exchange, body_of
from bench.load.screen import Screen
from bench.orders import order_of


class WrongAnswerError(Exception):
    """A server answered quickly, and wrongly."""


def check_created(dialect: Dialect, exchanges: Sequence[Exchange]) -> None:
    """Each order is the one that was asked for; together their ids have neither gap nor double."""
    ids = []
    for _, request, response in exchanges:
        order = dialect.created(body_of(response))
        _check_content(order)
        if request != dialect.create(order_of(int(order["table"]))):
            raise WrongAnswerError(f"not the order that was placed: {order}")
        ids.append(int(order["id"]))
    if sorted(ids) != list(range(min(ids), min(ids) + len(ids))):
        raise WrongAnswerError("the ids of the created orders have gaps or doubles")


def check_pages(dialect: Dialect, exchanges: Iterable[Exchange], first: int) -> None:
    """Each page is whole and newest first; no connection ever sees an older head than before."""
    seen: dict[int, int] = defaultdict(int)
    for connection, _, response in exchanges:
        orders = dialect.orders(body_of(response))
        newest = int(orders[0]["id"])
        if [int(order["id"]) for order in orders] != list(range(newest, newest - first, -1)):
            raise WrongAnswerError("a page has gaps, doubles, or too few orders")
        if newest < seen[connection]:
            raise WrongAnswerError("a reader saw an older page than before")
        seen[connection] = newest
        for order in orders:
            _check_content(order)


def check_events(dialect: Dialect, screens: Iterable[Screen], last_id: int | None) -> None:
    """Each screen got every order once, in order, up to `last_id` if that is given."""
    for screen in screens:
        orders = [dialect.event(payload) for payload in screen.recorded or ()]
        ids = [int(order["id"]) for order in orders]
        if not ids or ids != list(range(ids[0], ids[0] + len(ids))):
            raise WrongAnswerError("a screen has missed an order, or has got one twice")
        if last_id is not None and ids[-1] != last_id:
            raise WrongAnswerError(f"a screen has got {ids[-1]}, but not yet {last_id}")
        for order in orders:
            _check_content(order)


def _check_content(order: Json) -> None:
    if order["items"] != order_of(int(order["table"]))["items"]:
        raise WrongAnswerError(f"not what that table ordered: {order}")
