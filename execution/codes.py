"""Every code that an error may have in its `extensions`: the one list.

`docs/api.md` shows it (`make docs` writes it there). Not here: `OrderErrorCode`, which is data of
the API, and the close codes of sockets, which their protocol defines.
"""

from enum import Enum


class Stage(Enum):
    """How far a request came; it decides the status of the answer over HTTP."""

    # Nothing was looked up: the code's own status, whatever type of answer is accepted.
    REQUEST = "request"
    # The operation can't be run, so there is no `data`: 400, but 200 in `application/json`, whose
    # clients don't look at the body of anything else.
    OPERATION = "operation"
    # It was run, and `data` or a field of it is null: 200.
    FIELD = "field"


class Code(Enum):
    """A code: the stage of a request that it belongs to, its statuses, and what it means.

    `may_retry`: the same request may be answered later. An order is sent again with its key.
    """

    def __init__(
        self, stage: Stage, statuses: tuple[int, ...], meaning: str, may_retry: bool = False
    ) -> None:
        self.stage = stage
        self.statuses = statuses
        self.meaning = meaning
        self.may_retry = may_retry

    @property
    def status(self) -> int:
        """The status of a request that is refused with this code, if nothing else is said."""
        return self.statuses[0]

    BAD_REQUEST = (
        Stage.REQUEST,
        (400, 501, 505),
        "What was sent is no request of HTTP, or none of GraphQL; the message says where",
    )
    BATCHING_NOT_SUPPORTED = Stage.REQUEST, (400,), "Send operations one by one"
    UNAUTHENTICATED = Stage.REQUEST, (401,), "No token, or none that is valid; on a socket 4403"
    HOST_NOT_ALLOWED = Stage.REQUEST, (403,), "The service doesn't go by the name in `Host`"
    ORIGIN_NOT_ALLOWED = Stage.REQUEST, (403,), "Pages of this origin may not use the service"
    NOT_FOUND = Stage.REQUEST, (404,), "There is nothing at this path"
    METHOD_NOT_ALLOWED = (
        Stage.REQUEST,
        (405,),
        "The method isn't for this path, or the operation is a mutation by GET; see `Allow`",
    )
    NOT_ACCEPTABLE = Stage.REQUEST, (406,), "`Accept` lists no media type that answers have"
    BODY_TOO_LARGE = Stage.REQUEST, (413,), "The body has more bytes than the limit"
    TARGET_TOO_LONG = Stage.REQUEST, (414,), "The request line has more bytes than the limit"
    UNSUPPORTED_MEDIA_TYPE = (
        Stage.REQUEST,
        (415,),
        "The body must be `application/json` in UTF-8, and not compressed",
    )
    RATE_LIMITED = (
        Stage.REQUEST,
        (429,),
        "This client asks for too much; `retryAfterSeconds` and `Retry-After` say how long to wait",
        True,
    )
    HEADERS_TOO_LARGE = Stage.REQUEST, (431,), "The headers are more than the limit"
    TOO_MANY_CONNECTIONS = (
        Stage.REQUEST,
        (429, 503),
        "This client, or the service, has as many connections as it may have",
        True,
    )
    TOO_MANY_SOCKETS = (
        Stage.REQUEST,
        (429, 503),
        "This client, or the service, has as many sockets as it may have",
        True,
    )
    TOO_MANY_OPERATIONS = (
        Stage.REQUEST,
        (),
        "This socket has as many operations as it may have",
        True,
    )
    SUBPROTOCOL_NOT_ACCEPTABLE = (
        Stage.REQUEST,
        (),
        "The socket's client doesn't speak `graphql-transport-ws`; closed with 4406",
    )
    INTERNAL_SERVER_ERROR = (
        Stage.REQUEST,
        (500, 200),
        "A fault of the service, with a `requestId` that is also in its log",
    )

    PERSISTED_QUERY_NOT_SUPPORTED = (
        Stage.OPERATION,
        (400,),
        "A hash without its query: Apollo's and urql's clients send the query next",
    )
    GRAPHQL_PARSE_FAILED = Stage.OPERATION, (400,), "The document has an error of syntax"
    GRAPHQL_VALIDATION_FAILED = Stage.OPERATION, (400,), "The document doesn't fit the schema"
    OPERATION_RESOLUTION_FAILURE = (
        Stage.OPERATION,
        (400,),
        "The document has no such operation, or several and none is named; or it is a "
        "subscription by HTTP, which is 400 in any type",
    )
    BAD_USER_INPUT = (
        Stage.OPERATION,
        (400, 200),
        "A variable is missing or of another type; 200 if an argument is outside its limits",
    )
    VARIABLES_TOO_LARGE = Stage.OPERATION, (400,), "The variables have too many values"
    DOCUMENT_TOO_LARGE = Stage.OPERATION, (400,), "The document has too many characters"
    TOO_MANY_TOKENS = Stage.OPERATION, (400,), "The document has too many names, values and signs"
    TOO_DEEP = Stage.OPERATION, (400,), "Fields are nested too deeply"
    TOO_MANY_ALIASES = Stage.OPERATION, (400,), "The operation has too many aliases"
    TOO_MANY_ROOT_FIELDS = Stage.OPERATION, (400,), "The operation has too many root fields"
    TOO_MANY_FIELDS = Stage.OPERATION, (400,), "The document has too many fields"
    TOO_MANY_FRAGMENTS = Stage.OPERATION, (400,), "The document has too many fragments"
    TOO_MANY_DIRECTIVES = Stage.OPERATION, (400,), "The document has too many directives"
    FRAGMENT_CYCLE = Stage.OPERATION, (400,), "A fragment spreads itself"
    DOCUMENT_TOO_COMPLEX = (
        Stage.OPERATION,
        (400,),
        "The document selects the same fields hundreds of times",
    )
    INTROSPECTION_DISABLED = Stage.OPERATION, (400,), "The service doesn't tell its schema"

    FORBIDDEN = Stage.FIELD, (200,), "The caller's role may not use this field"
    BAD_CURSOR = Stage.FIELD, (200,), "This is no cursor of the service"
    CURSOR_EXPIRED = (
        Stage.FIELD,
        (200,),
        "The cursor is of another database, or of an order that this one has lost: start anew "
        "without it",
    )
    ANSWER_TOO_LARGE = Stage.FIELD, (200,), "The answer would have too many values"
    OVERLOADED = (
        Stage.FIELD,
        (200, 503),
        "Too many orders or reads are waiting: nothing was done",
        True,
    )
    UNAVAILABLE = (
        Stage.FIELD,
        (200, 503),
        "The database can't be used now, or the service is stopping: nothing was acknowledged",
        True,
    )
