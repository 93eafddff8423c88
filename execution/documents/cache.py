"""Parsed and validated documents, kept for the next request with the same text.

Parsing and validation cost ten times what an operation does. The cache is bounded by number and
by size: a stream of ever-new documents pushes out old ones and grows nothing.
"""

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged as overlapping_fields
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from execution.bounded import BoundedMap
from execution.codes import Code
from execution.documents.limits import DocumentLimitError, DocumentLimits, parse_within_limits
from execution.errors import RefusedOperationError

# A syntax tree is some 250 times as large as its text: this is 64 MB of trees.
_TEXTS_MAX_CHARACTERS = 262_144
_TEXT_MAX_CHARACTERS = 16_384

_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
# Each may quote, and compare with, as much as the document has: a hundred of them take seconds.
_ERRORS_MAX = 5
# graphql-core's own bound on comparing fields with each other holds the loop for 100 ms.
overlapping_fields.MAX_COMPLEXITY_BUDGET = 5_000


class Document:
    """A text that parses: its syntax tree, what validation says, and what others derive."""

    __slots__ = ("ast", "derived", "errors")

    def __init__(self, ast: DocumentNode, errors: list[GraphQLError]) -> None:
        self.ast = ast
        self.errors = errors
        # By operation name, for whoever executes the document.
        self.derived: dict[str | None, object] = {}

    @property
    def operations(self) -> list[OperationDefinitionNode]:
        """The document's operations, in the order given."""
        return [node for node in self.ast.definitions if isinstance(node, OperationDefinitionNode)]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation of a name, or the only one. Raises `GraphQLError`."""
        found = self.operations
        if name is not None:
            found = [node for node in found if node.name and node.name.value == name]
        if len(found) == 1:
            return found[0]
        message = "Must provide operation name if query contains multiple operations."
        if not found:
            message = "The document has no operation."
            if name is not None:
                message = f"The document has no operation named {name[:100]}."
        raise RefusedOperationError(Code.OPERATION_RESOLUTION_FAILURE, message)

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        """The document's fragments by name."""
        nodes = self.ast.definitions
        return {n.name.value: n for n in nodes if isinstance(n, FragmentDefinitionNode)}

    @property
    def operation_names(self) -> set[str]:
        """The names of the document's operations that have one."""
        return {node.name.value for node in self.operations if node.name}


class DocumentCache:
    """The valid documents of one schema that were used last.

    Without introspection, errors don't suggest names of the schema either.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        max_documents: int,
        limits: DocumentLimits | None = None,
        introspection: bool = True,
    ) -> None:
        self._schema = schema
        self._limits = limits or DocumentLimits()
        self._introspection = introspection
        self._documents: BoundedMap[str, Document] = BoundedMap(
            max_entries=max_documents,
            max_size=_TEXTS_MAX_CHARACTERS,
            size_of=lambda text, _: len(text),
        )
        # The last text that is not kept: whoever asks first passes it on to whoever answers.
        self._passing: tuple[str, Document | GraphQLError] | None = None

    def __len__(self) -> int:
        return len(self._documents)

    def get(self, text: str) -> Document:
        """Return the document of a text.

        Raises `GraphQLError` for a syntax error and for a document beyond a limit.
        """
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
            return document
        if self._passing is None or self._passing[0] != text:
            self._passing = (text, self._read(text))
        outcome = self._passing[1]
        if isinstance(outcome, GraphQLError):
            raise outcome.with_traceback(None)
        if len(text) <= _TEXT_MAX_CHARACTERS and not outcome.errors:
            self._passing = None
            self._documents.keep(text, outcome)
        return outcome

    def _read(self, text: str) -> Document | GraphQLError:
        try:
            ast = parse_within_limits(text, self._limits, introspection=self._introspection)
        except GraphQLError as error:
            return error
        errors = validate(
            self._schema,
            ast,
            _RULES,
            max_errors=_ERRORS_MAX,
            hide_suggestions=not self._introspection,
        )
        if errors and isinstance(errors[-1], ValidationAbortedError) and len(errors) <= _ERRORS_MAX:
            return DocumentLimitError(
                Code.DOCUMENT_TOO_COMPLEX, "The document selects the same fields too many times."
            )
        return Document(ast, [self._as_told(error) for error in errors])

    def _as_told(self, error: GraphQLError) -> GraphQLError:
        """Return an error of the validation as clients may see it."""
        message = error.message
        if error.original_error is not None:
            # What Python says of a value: a number of 5,000 digits is a `ValueError` of `int`.
            message = "A value of the document can't be of its type."
        elif not self._introspection:
            # graphql-core still suggests how to select from a field that was asked without.
            message = message.partition(" Did you mean ")[0]
        return error if message == error.message else GraphQLError(message, error.nodes)
