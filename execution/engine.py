"""What every operation needs that is run: the schema, its documents, and graphql-core's executor.

Strawberry makes the schema. Operations are run on it by graphql-core or compiled, never through
Strawberry's own `execute` and `stream`, which parse, guard and report in ways of their own.
"""

from dataclasses import dataclass

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.name_converter import NameConverter

from execution.documents.cache import DocumentCache
from execution.documents.limits import DocumentLimits
from execution.paced_executor import PacedExecutor
from schema.roles import guard_root_fields
from schema.sdl import vocabulary


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What operations may have at the most, and whether they may ask for the schema.

    Counts are of values: in the variables of a request that isn't compiled, in the lists of an
    answer. Without `introspection` the errors don't suggest names either.
    """

    documents_kept: int = 256
    document: DocumentLimits = DocumentLimits()  # noqa: RUF009 - it is frozen
    variables_max_values: int = 4_000
    answer_max_values: int = 100_000
    introspection: bool = True


_DEFAULTS = EngineLimits()


class Engine:
    """A schema that is ready to run operations; the same for every run of the service."""

    def __init__(self, vocabulary: strawberry.Schema, limits: EngineLimits = _DEFAULTS) -> None:
        self.vocabulary = vocabulary
        # There is no public way to the schema that graphql-core runs.
        self.schema: GraphQLSchema = vocabulary._schema  # noqa: SLF001
        self.names: NameConverter = vocabulary.config.name_converter
        guard_root_fields(self.schema)
        self.answer_max_values = limits.answer_max_values
        self.documents = DocumentCache(
            self.schema,
            max_documents=limits.documents_kept,
            limits=limits.document,
            introspection=limits.introspection,
        )

        class Executor(PacedExecutor):
            max_values = limits.answer_max_values
            max_variable_values: int | None = limits.variables_max_values
            suggests_names = limits.introspection

        class ReplayingExecutor(Executor):
            # What has been executed must be told: it is too late to refuse its variables.
            max_variable_values = None

        self.executor: type[PacedExecutor] = Executor
        self.replaying_executor: type[PacedExecutor] = ReplayingExecutor


def build_engine(limits: EngineLimits = _DEFAULTS) -> Engine:
    """Return the engine of the service's own schema."""
    return Engine(vocabulary(), limits)
