"""Build the Strawberry schema."""

from collections.abc import Iterator
from contextlib import suppress

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.types import ExecutionContext

from schema.errors import CodedErrors, log_unexpected
from schema.root import Mutation, Query, Subscription


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


class Schema(strawberry.Schema):
    """Strawberry's schema, except that expected errors are not logged with a stack trace."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log what was not expected."""
        log_unexpected(errors, execution_context)


def build_schema(*, document_cache_max_documents: int) -> Schema:
    """Build the schema. Parsed and validated documents are cached, the newest so many of each."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        # Factories: an extension object must not be shared between operations.
        extensions=[
            CodedErrors,
            lambda: SafeParserCache(maxsize=document_cache_max_documents),
            lambda: ValidationCache(maxsize=document_cache_max_documents),
        ],
    )
