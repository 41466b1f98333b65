"""Variational loops whose iterations are jobs: which job evaluated what, and where."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Say where each iteration was evaluated, and by which job."""
    op.add_column(
        "iterations", sa.Column("backend", sa.String(length=80), nullable=False, server_default="aer")
    )
    op.add_column("iterations", sa.Column("job_id", sa.String(length=80), nullable=False, server_default=""))
    op.create_table(
        "loop_jobs",
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("loop_id", sa.String(length=80), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("shots", sa.Integer(), nullable=True),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["loop_id"], ["optimisations.id"], name=op.f("fk_loop_jobs_loop_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_loop_jobs")),
    )
    op.create_index("ix_loop_jobs_loop_id", "loop_jobs", ["loop_id"], unique=False)
