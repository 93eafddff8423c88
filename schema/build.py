"""Build the Strawberry schema."""

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType

from schema.documents import CachedDocuments, DocumentCache
from schema.errors import CodedErrors, log_unexpected, request_id_of
from schema.roles import guard_root_fields
from schema.root import Mutation, Query, Subscription


class Schema(strawberry.Schema):
    """Strawberry's schema with quieter errors, and subscriptions on the socket only."""

    documents: DocumentCache

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Execute one query or mutation (sockets use `stream`)."""
        # Strawberry lets a POST begin a subscription, and then fails on its stream.
        allowed = kwargs.get("allowed_operation_types") or set(OperationType)
        kwargs["allowed_operation_types"] = set(allowed) - {OperationType.SUBSCRIPTION}
        return await super().execute(*args, **kwargs)

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log what was not expected."""
        log_unexpected(errors, request_id_of(execution_context))


def build_schema(*, document_cache_max_documents: int) -> Schema:
    """Build the schema. Parsed and validated documents are kept, the last so many."""
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        # Factories: an extension object must not be shared between operations.
        extensions=[CodedErrors, lambda: CachedDocuments(schema.documents)],
    )
    guard_root_fields(schema._schema)
    schema.documents = DocumentCache(schema._schema, max_documents=document_cache_max_documents)
    return schema
