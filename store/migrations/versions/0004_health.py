"""How places have done of late, and which of them are not asked for now."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "health",
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("in_a_row", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("probe", sa.String(length=80), nullable=False),
        sa.Column("wait_seconds", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("backend", name=op.f("pk_health")),
    )
    op.create_table(
        "health_calls",
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("backend", "minute", "asked", "code", name=op.f("pk_health_calls")),
    )
    op.create_table(
        "health_waits",
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_health_waits")),
    )
    op.create_index("ix_health_waits_backend_at", "health_waits", ["backend", "at"], unique=False)
    op.create_table(
        "job_retries",
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_retries")),
    )
    op.create_index(op.f("ix_job_retries_at"), "job_retries", ["at"], unique=False)
