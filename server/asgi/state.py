"""What travels with each request and socket: one object, in its `scope["state"]`."""

from dataclasses import dataclass, replace

from starlette.types import Scope

from execution.operations import Operations
from resolvers.context import Caller, Service
from server.access.gate import Gate

_KEY = "bistro92"


@dataclass(frozen=True, slots=True)
class Run:
    """The parts of one run of the application: another run has others, and another database."""

    service: Service
    gate: Gate
    operations: Operations


@dataclass(slots=True)
class State:
    """What is known of a request, or of a socket with all its operations.

    Nobody asks before a gate, or `connection_init`, has said who it is; and a socket whose token
    is revoked has nobody again.
    """

    run: Run
    request_id: str = ""
    caller: Caller | None = None
    # Our own server has asked the lane about it, which has left it to the layers.
    was_in_lane: bool = False


def state_of_run(run: Run) -> dict[str, State]:
    """Return what the lifespan hands to the server, for every request."""
    return {_KEY: State(run)}


def state_of(scope: Scope) -> State:
    """Return the state of a request; a server copies that of the run into it."""
    state: State = scope["state"][_KEY]
    return state


def name_request(scope: Scope, request_id: str) -> None:
    """Give a request a state of its own."""
    # Without a lifespan there is no run. Only `/readyz` is served then, and says so.
    state: State | None = scope.setdefault("state", {}).get(_KEY)
    if state is not None:
        scope["state"][_KEY] = State(state.run, request_id)


def leave_lane(scope: Scope) -> None:
    """Note that the lane needs not be asked again."""
    scope["state"][_KEY] = replace(state_of(scope), was_in_lane=True)


def find_state(scope: Scope) -> State | None:
    """Return the state of a request, or None if the service hasn't started."""
    state: State | None = scope.get("state", {}).get(_KEY)
    return state
