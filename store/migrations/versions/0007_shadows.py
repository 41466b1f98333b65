"""What shadow runs of a rollout rule found."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "shadows",
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("shadow_id", sa.String(length=80), nullable=False),
        sa.Column("backend", sa.String(length=200), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("pubs", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "rule", name=op.f("pk_shadows")),
    )
    op.create_index(op.f("ix_shadows_shadow_id"), "shadows", ["shadow_id"], unique=True)
    op.create_index("ix_shadows_rule_ended_at", "shadows", ["rule", "ended_at"], unique=False)
