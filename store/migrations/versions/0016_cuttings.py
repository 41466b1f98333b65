"""Cuts: the plan of each, who runs it, and its report."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "cuttings",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("body_hash", sa.String(length=80), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cuttings")),
    )
    op.create_index("ix_cuttings_project_began", "cuttings", ["project", "began_at"], unique=False)
