"""Write `schema.graphql`, or check that it is up to date: `python -m schema.sdl [--check]`."""

import sys
from pathlib import Path

from schema.build import build_schema

SDL_PATH = Path(__file__).parent.parent / "schema.graphql"


def sdl() -> str:
    """Return the schema in GraphQL's schema language."""
    return f"{build_schema(document_cache_max_documents=1).as_str()}\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        SDL_PATH.write_text(sdl())
    elif SDL_PATH.read_text() != sdl():
        sys.exit("schema.graphql is not up to date: run `make schema` and look at the change.")
