"""Build the Strawberry schema."""

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType

from execution.documents.cache import CachedDocuments, DocumentCache
from execution.documents.limits import DocumentLimits
from execution.errors import CodedErrors, log_unexpected, request_id_of
from execution.paced_executor import ANSWER_MAX_VALUES, VARIABLES_MAX_VALUES, PacedExecutor
from schema.roles import guard_root_fields
from schema.root import Mutation, Query, Subscription


class Schema(strawberry.Schema):
    """Strawberry's schema with quieter errors, and subscriptions on the socket only."""

    documents: DocumentCache

    def __init__(
        self,
        *args: Any,
        answer_max_values: int = ANSWER_MAX_VALUES,
        variables_max_values: int = VARIABLES_MAX_VALUES,
        introspection: bool = True,
        **kwargs: Any,
    ) -> None:
        class Executor(PacedExecutor):
            max_values = answer_max_values
            max_variable_values: int | None = variables_max_values
            suggests_names = introspection

        class ReplayingExecutor(Executor):
            # What has been executed must be told: it is too late to refuse its variables.
            max_variable_values = None

        self.replaying_executor_class = ReplayingExecutor
        self.answer_max_values = answer_max_values
        kwargs["execution_context_class"] = Executor
        super().__init__(*args, **kwargs)

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


def build_schema(
    *,
    document_cache_max_documents: int,
    limits: DocumentLimits | None = None,
    answer_max_values: int = ANSWER_MAX_VALUES,
    variables_max_values: int = VARIABLES_MAX_VALUES,
    introspection: bool = True,
) -> Schema:
    """Build the schema. Parsed and validated documents are kept, the last so many.

    Without `introspection` it tells nothing of itself, in the suggestions of errors neither.
    """
    schema: Schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        # Factories: an extension object must not be shared between operations.
        extensions=[CodedErrors, lambda: CachedDocuments(schema.documents)],
        answer_max_values=answer_max_values,
        variables_max_values=variables_max_values,
        introspection=introspection,
    )
    guard_root_fields(schema._schema)
    schema.documents = DocumentCache(
        schema._schema,
        max_documents=document_cache_max_documents,
        limits=limits,
        introspection=introspection,
    )
    return schema
