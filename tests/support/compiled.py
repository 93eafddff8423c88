"""What an operation is compiled to."""

from graphql import GraphQLError

from execution.compiled.operation import CompiledOperation, compile_operation
from execution.engine import Engine


def compiled(engine: Engine, text: str, name: str | None = None) -> CompiledOperation | None:
    """Compile an operation; None if it isn't valid, or runs on graphql-core."""
    try:
        document = engine.documents.get(text)
        operation = document.operation(name)
    except GraphQLError:
        return None
    return None if document.errors else compile_operation(engine, document, operation)
