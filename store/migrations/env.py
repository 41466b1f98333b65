"""Alembic's entry: migrations run on the connection they are given, in one transaction."""

from alembic import context
from sqlalchemy import text

from store.schema import metadata

_ADVISORY_LOCK = 0x71757261

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
)
with context.begin_transaction():
    context.run_migrations()
