"""Items of a batch keep the names of their own registers, and groups the size of their chunks."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns; shots said nothing but the size."""
    with op.batch_alter_table("batch_groups") as table:
        table.add_column(sa.Column("chunk_items", sa.Integer(), nullable=False, server_default="16"))
        table.drop_column("shots")
    with op.batch_alter_table("batch_items") as table:
        table.add_column(sa.Column("registers", sa.Text(), nullable=False, server_default=""))
