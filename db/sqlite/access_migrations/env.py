"""Alembic's entry point for the tokens' own database: see `db.migrate`."""

from alembic import context

from db.tables import access_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=access_metadata,
    # SQLite alters tables by copying them.
    render_as_batch=True,
)
context.run_migrations()
