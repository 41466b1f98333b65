"""Tables. A change here comes with a migration in `store/migrations/versions`."""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0001"
"""The migration these tables stand for; a test compares it with the newest one."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_HASH = String(80)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("project", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("body_hash", _HASH, nullable=False),
    # First run id of the execution that owns the job; a later execution of the same id takes it over.
    Column("owner", String(80), nullable=False),
    Column("state", String(24), nullable=False),
    Column("asked", String(200), nullable=False),
    Column("served_by", String(80), nullable=False, default=""),
    Column("labels", Text, nullable=False, default="{}"),
    Column("request", _HASH, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    # The report without the results of its pubs, deflated JSON.
    Column("report", LargeBinary),
    Index("ix_jobs_project_accepted", "project", "accepted_at"),
    Index("ix_jobs_state_accepted", "state", "accepted_at"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(80), ForeignKey("jobs.id"), nullable=False),
    Column("rung", Integer, nullable=False, default=0),
    Column("state", String(24), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("backend", String(80), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    UniqueConstraint("job_id", "rung", "state", name="uq_events_job_rung_state"),
)

stages = Table(
    "stages",
    metadata,
    Column("job_id", String(80), ForeignKey("jobs.id"), primary_key=True),
    # Names the call within the job, such as `transpile-0`; a stage that has a row never runs again.
    Column("step", String(80), primary_key=True),
    Column("stage", String(80), nullable=False),
    Column("rung", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(200), nullable=False),
    Column("parts", Text, nullable=False, default="{}"),
    Column("output", LargeBinary, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("hash", _HASH, primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

submissions = Table(
    "submissions",
    metadata,
    Column("tag", String(80), primary_key=True),
    Column("job_id", String(80), nullable=False, index=True),
    Column("backend", String(80), nullable=False),
    Column("digest", _HASH, nullable=False),
    Column("ordinal", Integer, nullable=False),
    # Set once, by whoever is first; null while the submission is only meant.
    Column("handle", String(200)),
    Column("withdrawn", Boolean, nullable=False, default=False),
    Column("intended_at", DateTime(timezone=True), nullable=False),
    Column("submitted_at", DateTime(timezone=True)),
)

results = Table(
    "results",
    metadata,
    Column("tag", String(80), primary_key=True),
    Column("pub", Integer, primary_key=True),
    # Bindings start to stop of the pub.
    Column("start", Integer, primary_key=True),
    Column("stop", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("notes", Text, nullable=False, default="{}"),
    Column("seconds", Float, nullable=False, default=0.0),
)

transpiles = Table(
    "transpiles",
    metadata,
    Column("key", _HASH, primary_key=True),
    # Null while the first to come is still at it.
    Column("compiled", Text),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("holder", String(80), nullable=False),
    Column("held_until", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

backends = Table(
    "backends",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("snapshot", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
)
