"""Every setting of the service, with its default, its limits and its meaning."""

from dataclasses import fields
from ipaddress import ip_network
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.settings import DatabaseSettings
from execution.documents.limits import DocumentLimits
from execution.engine import EngineLimits
from server.access.origins import parse_origin
from server.access.rate_limit import AUTOMATIC, AUTOMATIC_RATE, parse_rate
from server.access.sites import SiteRules
from server.websocket.rules import SocketRules
from server.wire.connections import ConnectionLimits

ENV_PREFIX = "BISTRO92_"
# The type of an error whose message says all that there is to say.
SENTENCE = "sentence"
_ENGINE = EngineLimits()
_DOCUMENT = _ENGINE.document


def split_list(value: str) -> list[str]:
    """Return the parts of a setting that is a list, in lower case."""
    return [part.strip().lower() for part in value.split(",") if part.strip()]


class Settings(BaseSettings):
    """Every setting; each is read from the environment with the prefix `BISTRO92_`."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    trusted_proxies: str = Field(
        "127.0.0.1,::1",
        description="Addresses and networks whose `X-Forwarded-For` is believed, with commas",
    )
    allow_anonymous: bool = Field(
        False, description="Serve other machines although no token has been created"
    )
    allowed_hosts: str = Field(
        "",
        description="More names that clients may reach the service by, separated by commas; "
        "`*` for any",
    )
    allowed_origins: str = Field(
        "",
        description="Origins of other sites and of apps whose pages may use the service, "
        "separated by commas",
    )
    database_url: str = Field(
        "sqlite+aiosqlite:///bistro92.db",
        repr=False,
        description="The database file, relative to the folder the service is started in; or "
        "`postgresql+asyncpg://user:password@host:5432/database`",
    )
    database_listen_url: str | None = Field(
        None,
        repr=False,
        description="PostgreSQL: where to listen for hints if `BISTRO92_DATABASE_URL` is a "
        "PgBouncer's: the server's own address",
    )
    database_poll_seconds: float = Field(
        1,
        gt=0,
        le=60,
        description="PostgreSQL: other processes' orders are looked for this often, "
        "hint or no hint",
    )
    database_prepared_statements: bool = Field(
        True,
        description="PostgreSQL: `False` for a PgBouncer that doesn't keep prepared statements",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much is logged: `debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="How it is logged: `console` for people, `json` for programs"
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port for Prometheus metrics at `/metrics`; 0: no metrics"
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="Address for them; they are open to all who reach it"
    )
    writer_queue_max_orders: int = Field(
        2000, ge=1, description="Orders that may wait for the writer; more get `OVERLOADED`"
    )
    writer_batch_max_orders: int = Field(
        500, ge=1, le=5000, description="Orders committed in one transaction at the most"
    )
    log_memory_max_entries: int = Field(
        5000, ge=1, description="Newest log entries kept in memory; older ones are read from disk"
    )
    reader_connections: int = Field(4, ge=1, le=64, description="Database connections for reading")
    busy_timeout_ms: int = Field(
        2000, ge=1, le=2500, description="Wait for a lock or a free connection this long"
    )
    wal_max_bytes: int = Field(
        8_388_608, ge=65_536, description="The write-ahead log is checkpointed beyond this size"
    )
    document_cache_max_documents: int = Field(
        _ENGINE.documents_kept, ge=1, description="Parsed and validated GraphQL documents kept"
    )
    compiled_operations: bool = Field(
        True, description="Run operations compiled where possible; `False` uses graphql-core only"
    )
    document_max_characters: int = Field(
        _DOCUMENT.characters,
        ge=1024,
        description="Largest text of a GraphQL document, in characters",
    )
    document_max_tokens: int = Field(
        _DOCUMENT.tokens, ge=200, le=10_000, description="Names, values and signs in a document"
    )
    document_max_depth: int = Field(
        _DOCUMENT.depth, ge=4, description="Fields within fields; introspection may go 20 deep"
    )
    document_max_aliases: int = Field(
        _DOCUMENT.aliases, ge=0, description="Aliases in an operation"
    )
    document_max_root_fields: int = Field(
        _DOCUMENT.root_fields, ge=1, description="Root fields of an operation"
    )
    document_max_fields: int = Field(
        _DOCUMENT.fields,
        ge=200,
        description="Fields in a document, counted after fragments are spread",
    )
    document_max_fragments: int = Field(
        _DOCUMENT.fragments, ge=5, description="Named fragments in a document"
    )
    document_max_directives: int = Field(
        _DOCUMENT.directives,
        ge=2,
        description="Directives in a document, counted after fragments are spread",
    )
    variables_max_values: int = Field(
        _ENGINE.variables_max_values,
        ge=1000,
        description="Values in the variables of a request that is not run compiled",
    )
    answer_max_values: int = Field(
        _ENGINE.answer_max_values,
        ge=65_000,
        description="Values in the lists of an answer to a query",
    )
    introspection: bool = Field(
        _ENGINE.introspection,
        description="Clients may ask for the schema; if `False`, errors suggest no names",
    )
    graphiql: bool = Field(True, description="Browsers get GraphiQL at `/graphql`")
    http_body_max_bytes: int = Field(
        131_072, ge=1024, description="Largest body of an HTTP request; a larger one gets 413"
    )
    websocket_message_max_bytes: int = Field(
        131_072, ge=1024, description="Largest message that a WebSocket may send to the service"
    )
    http_head_max_bytes: int = Field(
        32_768,
        ge=1024,
        description="Largest head of an HTTP request; more gets 431, or 414 for its first line",
    )
    http_max_headers: int = Field(
        100, ge=20, description="Headers of an HTTP request; more get 431"
    )
    max_http_connections_per_client: int = Field(
        1000,
        ge=1,
        description="HTTP connections of one address, trusted proxies aside; more get 429",
    )
    max_http_connections: int = Field(
        10_000, ge=1, description="HTTP connections in all; more are refused with 503"
    )
    http_unsent_max_bytes_per_client: int = Field(
        16_777_216,
        ge=65_536,
        description="Answers that one address, trusted proxies aside, has yet to read; "
        "beyond it the slowest of its connections are dropped",
    )
    http_unsent_max_bytes: int = Field(
        67_108_864, ge=65_536, description="The same for all addresses together"
    )
    client_min_bytes_per_second: int = Field(
        8192,
        ge=1,
        description="An HTTP client must read its answers at this rate, or it is disconnected",
    )
    client_timeout_seconds: float = Field(
        8,
        gt=0,
        description="An HTTP client must send its whole request, and the next one, within this "
        "time each, or it is disconnected; how fast it reads is judged over this time",
    )
    websocket_max_operations: int = Field(
        100, ge=1, description="Operations at once on one WebSocket; more get `TOO_MANY_OPERATIONS`"
    )
    max_websockets_per_client: int = Field(
        2000, ge=1, description="WebSockets of one address; more are refused with 429"
    )
    max_websockets: int = Field(
        10_000, ge=1, description="WebSockets in all; more are refused with 503"
    )
    rate_limit: str = Field(
        AUTOMATIC,
        description="What one client may ask for, such as `200/second`, or `off`; more gets "
        f"`RATE_LIMITED`. `{AUTOMATIC}`: {AUTOMATIC_RATE}, `off` while only this machine is served",
    )
    connection_init_timeout_seconds: float = Field(
        5, gt=0, description="A WebSocket must send `connection_init` within this time"
    )
    ping_interval_seconds: float = Field(10, gt=0, description="Between pings to each WebSocket")
    silence_timeout_seconds: float = Field(
        25, gt=0, description="A WebSocket that says nothing for this long is closed with 4408"
    )
    drain_timeout_seconds: float = Field(
        4, gt=0, le=5, description="For committing and answering what is queued when stopping"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: str) -> str:
        # uvicorn takes what is no address for a name that never occurs, or `*` for everybody.
        for part in split_list(value):
            ip_network(part)
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        try:
            return ",".join(map(parse_origin, split_list(value)))
        except ValueError as error:
            raise PydanticCustomError(SENTENCE, "{text}", {"text": str(error)}) from None

    @field_validator("rate_limit")
    @classmethod
    def _rate_is_one(cls, given: str) -> str:
        try:
            parse_rate(given)
        except ValueError:
            raise PydanticCustomError(
                "rate",
                "Input should be `automatic`, `off`, or one limit such as `200/second`",
            ) from None
        return given

    def connection_limits(self) -> ConnectionLimits:
        """Return the limits of HTTP connections."""
        return ConnectionLimits(
            head_max_bytes=self.http_head_max_bytes,
            max_headers=self.http_max_headers,
            min_bytes_per_second=self.client_min_bytes_per_second,
            unsent_max_bytes_per_client=self.http_unsent_max_bytes_per_client,
            unsent_max_bytes=self.http_unsent_max_bytes,
            max_connections_per_client=self.max_http_connections_per_client,
            max_connections=self.max_http_connections,
            proxies=split_list(self.trusted_proxies),
        )

    def database(self) -> DatabaseSettings:
        """Return what the database is opened with."""
        return DatabaseSettings(
            url=self.database_url,
            listen_url=self.database_listen_url,
            poll_seconds=self.database_poll_seconds,
            prepared_statements=self.database_prepared_statements,
            wal_max_bytes=self.wal_max_bytes,
            reader_connections=self.reader_connections,
            busy_timeout_ms=self.busy_timeout_ms,
            log_memory_max_entries=self.log_memory_max_entries,
        )

    def engine_limits(self) -> EngineLimits:
        """Return what operations may have."""
        limits = {
            each.name: getattr(self, f"document_max_{each.name}") for each in fields(DocumentLimits)
        }
        return EngineLimits(
            documents_kept=self.document_cache_max_documents,
            document=DocumentLimits(**limits),
            variables_max_values=self.variables_max_values,
            answer_max_values=self.answer_max_values,
            introspection=self.introspection,
        )

    def sites(self) -> SiteRules:
        """Return which names and web pages may use the service."""
        hosts, origins = split_list(self.allowed_hosts), split_list(self.allowed_origins)
        return SiteRules(self.host.lower(), hosts, origins)

    def sockets(self) -> SocketRules:
        """Return the rules of sockets."""
        return SocketRules(
            max_operations=self.websocket_max_operations,
            connection_init_timeout_seconds=self.connection_init_timeout_seconds,
            ping_interval_seconds=self.ping_interval_seconds,
            silence_timeout_seconds=self.silence_timeout_seconds,
        )

    @model_validator(mode="after")
    def _ping_before_giving_up(self) -> Self:
        if self.silence_timeout_seconds <= self.ping_interval_seconds:
            raise ValueError(
                "BISTRO92_SILENCE_TIMEOUT_SECONDS must be more than BISTRO92_PING_INTERVAL_SECONDS"
            )
        return self
