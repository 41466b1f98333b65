"""What jobs may cost: budgets, guardrails, and what is reserved and spent."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "budgets",
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("qpu_seconds", sa.Float(), nullable=True),
        sa.Column("money", sa.Float(), nullable=True),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", "period", name=op.f("pk_budgets")),
    )
    op.create_table(
        "guardrails",
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=True),
        sa.Column("two_qubit_gates", sa.Integer(), nullable=True),
        sa.Column("shots", sa.Integer(), nullable=True),
        sa.Column("submissions", sa.Integer(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_guardrails")),
    )
    op.create_table(
        "reservations",
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.Column("submission", sa.String(length=80), nullable=False),
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("user", sa.String(length=40), nullable=False),
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=True),
        sa.Column("held", sa.Float(), nullable=False),
        sa.Column("spent", sa.Float(), nullable=False),
        sa.Column("unsent", sa.Boolean(), nullable=False),
        sa.Column("price_per_second", sa.Float(), nullable=True),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_reservations")),
    )
    op.create_index(op.f("ix_reservations_job_id"), "reservations", ["job_id"], unique=False)
    op.create_index("ix_reservations_month_project", "reservations", ["month", "project"], unique=False)
    op.create_index(op.f("ix_reservations_project"), "reservations", ["project"], unique=False)
    op.create_index(op.f("ix_reservations_user"), "reservations", ["user"], unique=False)
