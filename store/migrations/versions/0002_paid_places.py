"""What a paid place keeps: provider jobs, permits, incidents, strays, sessions, and which house this is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and make room for handles that name many jobs."""
    with op.batch_alter_table("submissions") as submissions:
        submissions.alter_column(
            "handle", existing_type=sa.String(length=200), type_=sa.Text(), existing_nullable=True
        )
        submissions.add_column(sa.Column("document", sa.String(length=80), nullable=True))
    op.create_table(
        "provider_jobs",
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.Column("submission", sa.String(length=80), nullable=False),
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("session", sa.String(length=200), nullable=False),
        sa.Column("slices", sa.Text(), nullable=False),
        sa.Column("estimate", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("posting_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", sa.Text(), nullable=True),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_provider_jobs")),
    )
    op.create_index(op.f("ix_provider_jobs_submission"), "provider_jobs", ["submission"], unique=False)
    op.create_index(op.f("ix_provider_jobs_job_id"), "provider_jobs", ["job_id"], unique=False)
    op.create_index(
        "ix_provider_jobs_closed_intended", "provider_jobs", ["closed", "intended_at"], unique=False
    )
    op.create_table(
        "senders",
        sa.Column("user", sa.String(length=80), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_senders")),
    )
    op.create_table(
        "permits",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("user", sa.String(length=80), nullable=False),
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permits")),
    )
    op.create_index("ix_permits_tag", "permits", ["tag"], unique=False)
    op.create_index("ix_permits_user_at", "permits", ["user", "at"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("final", sa.String(length=16), nullable=False),
        sa.Column("billed_seconds", sa.Float(), nullable=True),
        sa.Column("usage_complete", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("backend", "id", name=op.f("pk_incidents")),
    )
    op.create_index(op.f("ix_incidents_tag"), "incidents", ["tag"], unique=False)
    op.create_table(
        "strays",
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("backend", "id", name=op.f("pk_strays")),
    )
    op.create_table(
        "sessions",
        sa.Column("backend", sa.String(length=80), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("backend", "id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_job_id"), "sessions", ["job_id"], unique=False)
    op.create_index(op.f("ix_sessions_closed_at"), "sessions", ["closed_at"], unique=False)
    op.create_table(
        "house",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("minted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_house")),
    )
