"""Items of a batch keep the names of their own registers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("batch_items") as table:
        table.add_column(sa.Column("registers", sa.Text(), nullable=False, server_default=""))
