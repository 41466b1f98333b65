"""Jobs that wait for somebody's word, and who gave it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "approvals",
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(length=80), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approve", sa.Boolean(), nullable=True),
        sa.Column("by", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("cap", sa.Float(), nullable=True),
        sa.Column("via", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "rung", "route", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_decided_at"), "approvals", ["decided_at"], unique=False)
    op.create_table(
        "paid_circuits",
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("circuit", sa.String(length=80), nullable=False),
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "circuit", name=op.f("pk_paid_circuits")),
    )
