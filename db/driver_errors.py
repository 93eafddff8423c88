"""What a driver raises when its database fails, whatever it was asked."""

import asyncpg
from sqlalchemy.exc import DBAPIError

DRIVER_ERRORS = (
    DBAPIError,
    # Refused connections, and timeouts.
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A connection that the server has ended while this process stood still.
    asyncpg.InternalClientError,
)
