"""Provider jobs that several jobs share: groups, and who has a seat in them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "groups",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("request", sa.String(length=80), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sender", sa.String(length=80), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
    )
    op.create_index("ix_groups_sender_made", "groups", ["sender", "made_at"], unique=False)
    op.create_table(
        "seats",
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("group_id", sa.String(length=80), nullable=True),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("pubs", sa.Integer(), nullable=False),
        sa.Column("executions", sa.Integer(), nullable=False),
        sa.Column("left", sa.Boolean(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("share", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_seats")),
    )
    op.create_index(op.f("ix_seats_job_id"), "seats", ["job_id"], unique=False)
    op.create_index(op.f("ix_seats_group_id"), "seats", ["group_id"], unique=False)
