"""Write `schema.graphql`, or check that it is up to date: `python -m schema.sdl [--check]`."""

import sys
from pathlib import Path

import strawberry

from schema.root import Mutation, Query, Subscription

SDL_PATH = Path(__file__).parent.parent / "schema.graphql"


def vocabulary() -> strawberry.Schema:
    """Return the schema: what can be asked for, and by which words."""
    return strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription)


def sdl() -> str:
    """Return the schema in GraphQL's schema language."""
    return f"{vocabulary().as_str()}\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        SDL_PATH.write_text(sdl())
    elif SDL_PATH.read_text() != sdl():
        sys.exit("schema.graphql is not up to date: run `make schema` and look at the change.")
