"""How a database fails: the errors that say nothing about what it was asked."""

import asyncpg
from sqlalchemy.exc import DBAPIError

DATABASE_FAILURES = (
    DBAPIError,
    # Refused connections, and timeouts.
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A connection that the server has ended while this process stood still.
    asyncpg.InternalClientError,
)
