"""Readout calibrations that were measured: one measurement for all who ask at the same time."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "calibrations",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("place", sa.String(length=100), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("qubits", sa.Text(), nullable=False),
        sa.Column("measured", sa.String(length=80), nullable=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holder", sa.String(length=80), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_calibrations")),
    )
    op.create_index("ix_calibrations_place_target", "calibrations", ["place", "target"], unique=False)
