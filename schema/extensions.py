"""Extensions of Strawberry's that mend what its own leave open."""

from collections.abc import Iterator
from contextlib import suppress

from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import ParserCache, SchemaExtension


class SafeParserCache(ParserCache):
    """Strawberry's cache, which lets a syntax error escape past the code that reports errors."""

    def on_parse(self) -> Iterator[None]:
        """Take the parsed document from the cache; what can't be parsed, Strawberry reports."""
        context = self.execution_context
        with suppress(Exception):
            context.graphql_document = self.cached_parse_document(
                context.query, **context.parse_options
            )
        yield


class OneOperation(SchemaExtension):
    """Refuses several operations without a name: Strawberry would run the first of them."""

    def on_validate(self) -> Iterator[None]:
        """Check that the request says which operation it wants; runs after the validation."""
        context = self.execution_context
        document = context.graphql_document
        # There is no public way to ask: `operation_name` answers with the first one's name.
        if document is not None and context._provided_operation_name is None:
            operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
            if len(operations) > 1 and not context.pre_execution_errors:
                message = "Must provide operation name if query contains multiple operations."
                context.pre_execution_errors = [GraphQLError(message, operations)]
        yield
