"""Parsed and validated documents, kept for the next request with the same text.

Parsing and validation cost ten times what an operation does. The cache is bounded by number and
by size: a stream of ever-new documents pushes out old ones and grows nothing.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

# A syntax tree is some 250 times as large as its text: this is 64 MB of trees.
_TEXTS_MAX_CHARACTERS = 262_144
_TEXT_MAX_CHARACTERS = 16_384


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
    """The valid documents of one schema that were used last."""

    def __init__(self, schema: GraphQLSchema, *, max_documents: int) -> None:
        self._schema = schema
        self._max_documents = max_documents
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0
        # The last text that is not kept: whoever asks first passes it on to whoever answers.
        self._passing: tuple[str, Document] | None = None

    def __len__(self) -> int:
        return len(self._documents)

    def get(self, text: str) -> Document:
        """Return the document of a text; raises `GraphQLError` for a syntax error."""
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
            return document
        if self._passing is not None and self._passing[0] == text:
            return self._passing[1]
        ast = parse(text)
        document = Document(ast, validate_document(self._schema, ast, tuple(specified_rules)))
        if len(text) <= _TEXT_MAX_CHARACTERS and not document.errors:
            self._keep(text, document)
        else:
            self._passing = (text, document)
        return document

    def _keep(self, text: str, document: Document) -> None:
        self._documents[text] = document
        self._characters += len(text)
        while (
            len(self._documents) > self._max_documents or self._characters > _TEXTS_MAX_CHARACTERS
        ):
            given_up, _ = self._documents.popitem(last=False)
            self._characters -= len(given_up)


class CachedDocuments(SchemaExtension):
    """Takes documents from the cache, and refuses several operations without a name."""

    def __init__(self, documents: DocumentCache) -> None:
        self._documents = documents
        self._document: Document | None = None

    def on_parse(self) -> Iterator[None]:
        """Take the parsed document; what can't be parsed, Strawberry tries again and reports."""
        context = self.execution_context
        if context.query:
            with suppress(Exception):
                self._document = self._documents.get(context.query)
                context.graphql_document = self._document.ast
        yield

    def on_validate(self) -> Iterator[None]:
        """Take the result of the validation."""
        context = self.execution_context
        document = self._document
        if document is not None:
            context.pre_execution_errors = list(document.errors)
            # Strawberry would run the first of them; there is no public way to ask whether a
            # name was given, as `operation_name` answers with the first one's.
            several = len(document.operations) > 1 and context._provided_operation_name is None
            if several and not document.errors:
                message = "Must provide operation name if query contains multiple operations."
                context.pre_execution_errors = [GraphQLError(message, document.operations)]
        yield
