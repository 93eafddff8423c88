"""Limits of a document: refused before validation, which takes quadratic time on hostile ones.

Everything here takes time linear in the document: each fragment is measured once, and counts that
fragments multiply are capped, so a few lines of fragments that double each other cost nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    Lexer,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    parse,
)

from execution.codes import Code
from execution.errors import RefusedOperationError

# Below `__schema` and `__type`: the queries of GraphiQL and of code generators have a depth of 16.
_INTROSPECTION_MAX_DEPTH = 20
_INTROSPECTION = ("__schema", "__type")
# Beyond every limit that can be set; without it doubling fragments make numbers of any length.
_COUNT_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What a document may have at the most; counts are those after fragments are spread."""

    characters: int = 32_768
    tokens: int = 1_000
    depth: int = 10
    aliases: int = 15
    root_fields: int = 20
    fields: int = 300
    fragments: int = 20
    directives: int = 20


class DocumentLimitError(RefusedOperationError):
    """A document is beyond a limit: it is neither validated nor executed."""


def parse_within_limits(
    text: str, limits: DocumentLimits, *, introspection: bool = True
) -> DocumentNode:
    """Parse a document. Raises `GraphQLSyntaxError` or `DocumentLimitError`."""
    if len(text) > limits.characters:
        raise DocumentLimitError(
            Code.DOCUMENT_TOO_LARGE,
            f"A document has at most {limits.characters} characters, not {len(text)}. "
            "Send values as variables.",
        )
    try:
        document = parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
    except GraphQLSyntaxError as error:
        if _has_more_tokens(text, limits.tokens, up_to=error):
            raise DocumentLimitError(
                Code.TOO_MANY_TOKENS,
                f"A document has at most {limits.tokens} tokens, and as many comments. "
                "Send values as variables.",
            ) from None
        raise
    _check(document, limits, introspection)
    return document


def _has_more_tokens(text: str, count: int, *, up_to: GraphQLSyntaxError) -> bool:
    """Tell whether parsing ended at the limit: graphql-core says so in its message only."""
    (position,) = up_to.positions or (0,)
    lexer = Lexer(Source(text))
    token, tokens, comments = lexer.token, 0, 0
    try:
        # Not `advance`, which would go on beyond the position to the end of all comments.
        while token.start < position or token.kind is TokenKind.SOF:
            token = lexer.read_next_token(token.end)
            comments += token.kind is TokenKind.COMMENT
            tokens += token.kind not in (TokenKind.COMMENT, TokenKind.EOF)
    except GraphQLSyntaxError:
        return False
    return tokens > count or comments > count


def _check(document: DocumentNode, limits: DocumentLimits, introspection: bool) -> None:
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    if len(fragments) > limits.fragments:
        raise DocumentLimitError(
            Code.TOO_MANY_FRAGMENTS,
            f"A document has at most {limits.fragments} fragments, not {len(fragments)}.",
            fragments[limits.fragments],
        )
    measures = _Measures(fragments, introspection=introspection)
    try:
        for fragment in fragments:
            measures.of_fragment(fragment.name.value)
        fields = directives = 0
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                measure = measures.of_operation(node)
                _check_operation(node, measure, limits)
                fields += measure.fields
                directives += measure.directives
    except RecursionError:
        raise DocumentLimitError(
            Code.TOO_DEEP, "The document's selections are nested too deeply."
        ) from None
    directives += sum(len(fragment.directives or ()) for fragment in fragments)
    _refuse(Code.TOO_MANY_FIELDS, "A document", "fields", limits.fields, fields, document)
    _refuse(
        Code.TOO_MANY_DIRECTIVES,
        "A document",
        "directives",
        limits.directives,
        directives,
        document,
    )


def _check_operation(
    node: OperationDefinitionNode, measure: "_Measure", limits: DocumentLimits
) -> None:
    if measure.depth > limits.depth:
        message = f"An operation selects fields at most {limits.depth} deep, not {measure.depth}."
        raise DocumentLimitError(Code.TOO_DEEP, message, node)
    if measure.introspection_depth > _INTROSPECTION_MAX_DEPTH:
        message = f"Introspection goes at most {_INTROSPECTION_MAX_DEPTH} deep, not "
        raise DocumentLimitError(Code.TOO_DEEP, f"{message}{measure.introspection_depth}.", node)
    _refuse(Code.TOO_MANY_ALIASES, "An operation", "aliases", limits.aliases, measure.aliases, node)
    _refuse(
        Code.TOO_MANY_ROOT_FIELDS,
        "An operation",
        "root fields",
        limits.root_fields,
        measure.top_fields,
        node,
    )


def _refuse(code: Code, what: str, of_what: str, limit: int, found: int, node: Node) -> None:
    if found > limit:
        shown = "more" if found >= _COUNT_MAX else str(found)
        raise DocumentLimitError(
            code,
            f"{what} has at most {limit} {of_what}, fragments included, not {shown}.",
            None if isinstance(node, DocumentNode) else node,
        )


class _Measure(NamedTuple):
    """What a selection has, everything that it spreads included."""

    depth: int = 0
    introspection_depth: int = 0
    top_fields: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0


_NOTHING = _Measure()
_LEAF = _Measure(depth=1, top_fields=1, fields=1)
_ALIASED_LEAF = _LEAF._replace(aliases=1)


class _Measures:
    """The measures of a document's selections."""

    def __init__(self, fragments: Iterable[FragmentDefinitionNode], *, introspection: bool) -> None:
        self._fragments = {fragment.name.value: fragment for fragment in fragments}
        self._introspection = introspection
        self._known: dict[str, _Measure | None] = {}

    def of_operation(self, node: OperationDefinitionNode) -> _Measure:
        """Return the measure of an operation, its own directives included."""
        variables = node.variable_definitions or ()
        own = len(node.directives or ()) + sum(len(each.directives or ()) for each in variables)
        measure = self._of_set(node.selection_set)
        return measure._replace(directives=measure.directives + own)

    def of_fragment(self, name: str) -> _Measure:
        """Return the measure of a fragment, once computed; of one that is not there, nothing."""
        if name not in self._known:
            fragment = self._fragments.get(name)
            if fragment is None:
                return _NOTHING  # validation says so
            self._known[name] = None
            self._known[name] = self._of_set(fragment.selection_set)
        measure = self._known[name]
        if measure is None:
            message = f"Fragment {name} spreads itself."
            raise DocumentLimitError(Code.FRAGMENT_CYCLE, message, self._fragments[name])
        return measure

    def _of_set(self, selection_set: SelectionSetNode | None) -> _Measure:
        # In plain numbers: this runs for every field of a document that may have too many.
        depth = introspection_depth = top_fields = fields = aliases = directives = 0
        for selection in selection_set.selections if selection_set else ():
            if type(selection) is FieldNode and selection.selection_set is None:
                part = self._of_leaf(selection)
            else:
                part = self._of_selection(selection)
            depth = max(depth, part[0])
            introspection_depth = max(introspection_depth, part[1])
            top_fields += part[2]
            fields += part[3]
            aliases += part[4]
            directives += part[5] + len(selection.directives or ())
        counts = (min(count, _COUNT_MAX) for count in (top_fields, fields, aliases, directives))
        return _Measure(depth, introspection_depth, *counts)

    def _of_leaf(self, field: FieldNode) -> _Measure:
        if field.name.value in _INTROSPECTION:
            return self._of_field(field, _NOTHING)
        return _ALIASED_LEAF if field.alias else _LEAF

    def _of_selection(self, selection: SelectionNode) -> _Measure:
        if isinstance(selection, FragmentSpreadNode):
            return self.of_fragment(selection.name.value)
        inner = self._of_set(selection.selection_set)  # type: ignore[attr-defined]
        return self._of_field(selection, inner) if isinstance(selection, FieldNode) else inner

    def _of_field(self, field: FieldNode, inner: _Measure) -> _Measure:
        depth, introspection_depth = inner.depth + 1, inner.introspection_depth
        if field.name.value in _INTROSPECTION:
            if not self._introspection:
                message = f"Introspection is switched off: {field.name.value} can't be asked."
                raise DocumentLimitError(Code.INTROSPECTION_DISABLED, message, field)
            depth, introspection_depth = 1, max(depth, introspection_depth)
        return _Measure(
            depth,
            introspection_depth,
            1,
            min(inner.fields + 1, _COUNT_MAX),
            min(inner.aliases + (field.alias is not None), _COUNT_MAX),
            inner.directives,
        )
