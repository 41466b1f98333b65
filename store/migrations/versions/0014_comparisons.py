"""Comparisons and hedged runs: what each asked, and its report."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "comparisons",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("body_hash", sa.String(length=80), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("request", sa.String(length=80), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
    )
    op.create_index("ix_comparisons_project_began", "comparisons", ["project", "began_at"], unique=False)
