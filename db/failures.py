"""How a database fails: the errors that say nothing about what it was asked."""

import asyncpg
from sqlalchemy.exc import DBAPIError

# `OSError`: refused connections, and the timeouts of asyncpg's commands.
DATABASE_FAILURES = (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
