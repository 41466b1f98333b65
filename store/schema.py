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

REVISION = "0016"
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
    Column("digest", _HASH, nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    # Set once, by whoever is first; null while the submission is only meant. A submission that became several jobs
    # of a provider's names them all.
    Column("handle", Text),
    # Artifact of the whole submission, for a paid place, which may have to send parts of it again.
    Column("document", _HASH),
    Column("withdrawn", Boolean, nullable=False, default=False),
    Column("intended_at", DateTime(timezone=True), nullable=False),
    Column("submitted_at", DateTime(timezone=True)),
)

provider_jobs = Table(
    "provider_jobs",
    metadata,
    # The part's own key, and its tag at the provider.
    Column("tag", String(80), primary_key=True),
    Column("submission", String(80), nullable=False, index=True),
    Column("job_id", String(80), nullable=False, index=True),
    Column("part", Integer, nullable=False),
    Column("backend", String(80), nullable=False),
    Column("account", String(200), nullable=False, default=""),
    Column("session", String(200), nullable=False, default=""),
    Column("slices", Text, nullable=False),
    Column("estimate", Text),
    # The provider's id of the job that is kept; null while none is.
    Column("provider_id", String(200)),
    Column("attempts", Integer, nullable=False, default=0),
    # When the last attempt to send it began; null where none can be under way.
    Column("posting_at", DateTime(timezone=True)),
    Column("facts", Text),
    Column("intended_at", DateTime(timezone=True), nullable=False),
    # When its tag was last looked up for jobs beyond the kept one.
    Column("checked_at", DateTime(timezone=True)),
    # Nothing about it will ever change again.
    Column("closed", Boolean, nullable=False, default=False),
    Index("ix_provider_jobs_closed_intended", "closed", "intended_at"),
)

senders = Table(
    "senders",
    metadata,
    # Who a provider counts, as a digest; the row is also the lock of its permits.
    Column("user", String(80), primary_key=True),
    Column("held_until", DateTime(timezone=True)),
)

permits = Table(
    "permits",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user", String(80), nullable=False),
    # Of the part it was taken for.
    Column("tag", String(80), nullable=False, index=True),
    # When it was taken, and once it is known that the request is over, that.
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_permits_user_at", "user", "at"),
)

budgets = Table(
    "budgets",
    metadata,
    Column("scope", String(16), primary_key=True),
    # `*` for each of the scope; empty for the house.
    Column("name", String(80), primary_key=True),
    Column("period", String(8), primary_key=True),
    Column("qpu_seconds", Float),
    Column("money", Float),
    Column("currency", String(8), nullable=False, default=""),
    Column("set_at", DateTime(timezone=True), nullable=False),
)

guardrails = Table(
    "guardrails",
    metadata,
    Column("project", String(40), primary_key=True),
    Column("depth", Integer),
    Column("two_qubit_gates", Integer),
    Column("shots", Integer),
    Column("submissions", Integer),
    Column("set_at", DateTime(timezone=True), nullable=False),
)

reservations = Table(
    "reservations",
    metadata,
    # Of the part it was made for; `submission` owns it.
    Column("tag", String(80), primary_key=True),
    Column("submission", String(80), nullable=False),
    # Empty, as project and user, for a job at a provider that this store does not know.
    Column("job_id", String(80), nullable=False, index=True),
    Column("project", String(40), nullable=False, index=True),
    Column("user", String(40), nullable=False, index=True),
    Column("backend", String(80), nullable=False),
    # It was made in, as YYYY-MM (UTC); what is spent is spent in it.
    Column("month", String(7), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    # QPU seconds asked for, which the provider was told as the job's limit; null where nobody could say.
    Column("reserved", Integer),
    # Of these, what is not settled; and QPU seconds billed, duplicates included.
    Column("held", Float, nullable=False),
    Column("spent", Float, nullable=False),
    # It was given back without anything having been sent.
    Column("unsent", Boolean, nullable=False, default=False),
    Column("price_per_second", Float),
    Column("currency", String(8), nullable=False, default=""),
    Index("ix_reservations_month_project", "month", "project"),
)

approvals = Table(
    "approvals",
    metadata,
    # One question: a rung of a job's route, as it was planned.
    Column("job_id", String(80), primary_key=True),
    Column("rung", Integer, primary_key=True),
    Column("route", _HASH, primary_key=True),
    Column("project", String(40), nullable=False),
    Column("question", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    # All that was decided, set once and together; null while nobody has.
    Column("decided_at", DateTime(timezone=True), index=True),
    Column("approve", Boolean),
    Column("by", String(40)),
    Column("reason", Text),
    Column("cap", Float),
    Column("via", String(16)),
)

paid_circuits = Table(
    "paid_circuits",
    metadata,
    # A circuit that a project has sent to a place that costs money, and the first job that did.
    Column("project", String(40), primary_key=True),
    Column("circuit", _HASH, primary_key=True),
    Column("job_id", String(80), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

rollout_rules = Table(
    "rollout_rules",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("by", String(80), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

rollout_changes = Table(
    "rollout_changes",
    metadata,
    # Of the change, as its maker named it; a repeated attempt has the same.
    Column("id", String(32), primary_key=True),
    Column("name", String(40), nullable=False),
    # Null where it was removed.
    Column("rule", Text),
    Column("by", String(80), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, index=True),
)

shadows = Table(
    "shadows",
    metadata,
    # The job that was answered, and the rollout rule that has it run elsewhere too.
    Column("job_id", String(80), primary_key=True),
    Column("rule", String(40), primary_key=True),
    # The job that runs there.
    Column("shadow_id", String(80), nullable=False, unique=True, index=True),
    Column("backend", String(200), nullable=False),
    Column("began_at", DateTime(timezone=True), nullable=False),
    # All that was found, set once and together; null while it runs. The differences by pub are kept apart: they may be many.
    Column("ended_at", DateTime(timezone=True)),
    Column("run", Text),
    Column("pubs", Text),
    Index("ix_shadows_rule_ended_at", "rule", "ended_at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("backend", String(80), primary_key=True),
    Column("id", String(200), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("tag", String(80), nullable=False, index=True),
    Column("found_at", DateTime(timezone=True), nullable=False),
    Column("final", String(16), nullable=False),
    Column("billed_seconds", Float),
    Column("usage_complete", Boolean, nullable=False, default=False),
)

strays = Table(
    "strays",
    metadata,
    # Jobs at a provider that this store has not, since they were first seen: their owner may still bring the row.
    Column("backend", String(80), primary_key=True),
    Column("id", String(200), primary_key=True),
    Column("seen_at", DateTime(timezone=True), nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("backend", String(80), primary_key=True),
    # The provider's id of the session or batch.
    Column("id", String(200), primary_key=True),
    Column("job_id", String(80), nullable=False, index=True),
    Column("rung", Integer, nullable=False),
    Column("account", String(200), nullable=False, default=""),
    Column("mode", String(16), nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True), index=True),
)

house = Table(
    "house",
    metadata,
    # One row: which store this is. A restored copy is the same house.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(40), nullable=False),
    Column("minted_at", DateTime(timezone=True), nullable=False),
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

health = Table(
    "health",
    metadata,
    # The row is also the lock of all that is kept of the backend's health.
    Column("backend", String(80), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True)),
    Column("reason", Text, nullable=False, default=""),
    Column("in_a_row", Integer, nullable=False, default=0),
    Column("openings", Integer, nullable=False, default=0),
    # Names the one probe that is under way; empty where none is.
    Column("probe", String(80), nullable=False, default=""),
    # Median of what jobs lately waited in its queue (s).
    Column("wait_seconds", Float),
)

health_calls = Table(
    "health_calls",
    metadata,
    Column("backend", String(80), primary_key=True),
    Column("minute", DateTime(timezone=True), primary_key=True),
    # The activity that called; `retry` counts faults that are tried again.
    Column("asked", String(40), primary_key=True),
    # The error's; empty where the call went well.
    Column("code", String(80), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
)

health_waits = Table(
    "health_waits",
    metadata,
    # Of the submission that waited.
    Column("tag", String(80), primary_key=True),
    Column("backend", String(80), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_health_waits_backend_at", "backend", "at"),
)

job_retries = Table(
    "job_retries",
    metadata,
    Column("job_id", String(80), primary_key=True),
    Column("count", Integer, nullable=False),
    # Of the first.
    Column("at", DateTime(timezone=True), nullable=False, index=True),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("project", String(40), nullable=False),
    # Digest of the lines.
    Column("body_hash", _HASH, nullable=False),
    # First run id of the execution that took it in, or had it run again.
    Column("owner", String(80), nullable=False),
    # How often items were run again.
    Column("round", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    Column("item_count", Integer, nullable=False),
    # Items that have ended so far, each time that one did; an item's place in that order is its `ended`.
    Column("ended_items", Integer, nullable=False),
    Column("broken", Text, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
)

batch_groups = Table(
    "batch_groups",
    metadata,
    Column("batch_id", String(80), ForeignKey("batches.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    # Artifact of the first item's request.
    Column("request", _HASH, nullable=False),
    Column("alone", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    # Of each item (s).
    Column("deadline", Float),
    # Most items of one job.
    Column("chunk_items", Integer, nullable=False, server_default="16"),
)

batch_items = Table(
    "batch_items",
    metadata,
    Column("batch_id", String(80), ForeignKey("batches.id"), primary_key=True),
    Column("item", Integer, primary_key=True),
    Column("line", Integer, nullable=False),
    Column("own_key", String(200), nullable=False),
    Column("labels", Text, nullable=False),
    Column("group_number", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    # Parameter values in the order of their sorted names, as float64.
    Column("numbers", LargeBinary, nullable=False),
    Column("state", String(24), nullable=False),
    Column("job_id", String(80), nullable=False),
    # Which binding of the job; null where the job is the item's alone.
    Column("position", Integer),
    Column("served_by", String(80), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("qpu_seconds", Float, nullable=False),
    Column("price", Float),
    Column("currency", String(8), nullable=False),
    Column("error", Text),
    # Null while it has no end.
    Column("ended", Integer),
    # Names of its circuit's registers, where they are not those of its group's; JSON.
    Column("registers", Text, nullable=False, server_default=""),
    Index("ix_batch_items_ended", "batch_id", "ended"),
)

batch_chunks = Table(
    "batch_chunks",
    metadata,
    Column("batch_id", String(80), ForeignKey("batches.id"), primary_key=True),
    Column("job_id", String(80), primary_key=True),
    Column("job_key", String(200), nullable=False),
    Column("group_number", Integer, nullable=False),
    # Numbers of its items, deflated JSON.
    Column("members", LargeBinary, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("deadline", Float, nullable=False),
    # waiting, taken, started, ended.
    Column("state", String(16), nullable=False),
    # What the job took and cost, as JSON.
    Column("bill", Text, nullable=False),
    Index("ix_batch_chunks_state", "batch_id", "state"),
)

optimisations = Table(
    "optimisations",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("project", String(40), nullable=False),
    Column("body_hash", _HASH, nullable=False),
    # First run id of the execution that owns the loop.
    Column("owner", String(80), nullable=False),
    Column("state", String(24), nullable=False),
    # What it evaluates, as deflated JSON.
    Column("prepared", LargeBinary, nullable=False),
    # Who may append: the attempt at a chunk that began last; one that was given up may still run.
    Column("holder", String(200), nullable=False, default=""),
    # Deflated JSON; null until it ends.
    Column("report", LargeBinary),
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Index("ix_optimisations_project_began", "project", "began_at"),
)

iterations = Table(
    "iterations",
    metadata,
    # A block of a loop's log: iterations first to stop (exclusive), which were done within a fifth of a second, or one.
    Column("loop_id", String(80), ForeignKey("optimisations.id"), primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("stop", Integer, nullable=False),
    # Points of each iteration, as a JSON list.
    Column("sizes", Text, nullable=False),
    Column("shots", Integer),
    # Float64, little-endian, of all its points in turn: parameters, values, standard errors.
    Column("x", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("error", LargeBinary, nullable=False),
    Column("seconds", Float, nullable=False),
    # Where, and the job where it was one.
    Column("backend", String(80), nullable=False, server_default="aer"),
    Column("job_id", String(80), nullable=False, server_default=""),
)

loop_jobs = Table(
    "loop_jobs",
    metadata,
    # Written before the job is started: what is sent under its key is the same whoever sends it.
    Column("job_id", String(80), primary_key=True),
    Column("loop_id", String(80), ForeignKey("optimisations.id"), nullable=False, index=True),
    # iteration, value or answer.
    Column("purpose", String(16), nullable=False),
    Column("iteration", Integer, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("backend", String(80), nullable=False),
    Column("shots", Integer),
    # What was left of the loop's budget, as JSON.
    Column("budget", Text, nullable=False),
)

comparisons = Table(
    "comparisons",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("project", String(40), nullable=False),
    Column("body_hash", _HASH, nullable=False),
    # First run id of the execution that owns it.
    Column("owner", String(80), nullable=False),
    Column("state", String(24), nullable=False),
    # Artifact of what is asked.
    Column("request", _HASH, nullable=False),
    # Deflated JSON; null until it ends.
    Column("report", LargeBinary),
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Index("ix_comparisons_project_began", "project", "began_at"),
)

matrices = Table(
    "matrices",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("project", String(40), nullable=False),
    Column("body_hash", _HASH, nullable=False),
    # First run id of the execution that owns it; a rerun is another, with another round.
    Column("owner", String(80), nullable=False),
    Column("round", Integer, nullable=False, default=0),
    Column("state", String(24), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("samples", Integer, nullable=False),
    # What is run and for which samples, as deflated JSON.
    Column("prepared", LargeBinary, nullable=False),
    # How many ended items of this round's batch have been looked at.
    Column("seen", Integer, nullable=False, default=0),
    # Deflated JSON; null until it ends.
    Column("report", LargeBinary),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Index("ix_matrices_project_accepted", "project", "accepted_at"),
)

matrix_entries = Table(
    "matrix_entries",
    metadata,
    Column("matrix_id", String(80), ForeignKey("matrices.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    # Digest of what the entry asks, for other matrices that ask the same.
    Column("address", _HASH, nullable=False, index=True),
    # The round whose batch runs it; -1 where an earlier matrix had it.
    Column("round", Integer, nullable=False),
    # Float64, little-endian: one number of a kernel, one for each observable; null until it is known.
    Column("value", LargeBinary),
    Column("error", LargeBinary),
    Column("shots", Integer, nullable=False, default=0),
    # How the errors arose.
    Column("origin", String(24), nullable=False, default=""),
    Column("job_id", String(80), nullable=False, default=""),
    Column("served_by", String(80), nullable=False, default=""),
    # A lower rung than asked for has answered: no other matrix takes it.
    Column("degraded", Boolean, nullable=False, default=False),
)

calibrations = Table(
    "calibrations",
    metadata,
    # Of place, target and qubits.
    Column("key", _HASH, primary_key=True),
    Column("place", String(100), nullable=False),
    Column("target", _HASH, nullable=False),
    # Physical qubits, ascending, as a JSON list.
    Column("qubits", Text, nullable=False),
    # Artifact of what was measured last, and when; null until something was.
    Column("measured", _HASH),
    Column("measured_at", DateTime(timezone=True)),
    # The job that measures it now, until then; null while none does.
    Column("holder", String(80)),
    Column("held_until", DateTime(timezone=True)),
    Index("ix_calibrations_place_target", "place", "target"),
)

cuttings = Table(
    "cuttings",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("project", String(40), nullable=False),
    Column("body_hash", _HASH, nullable=False),
    # First run id of the execution that runs the cut; another one starts no more jobs.
    Column("owner", String(80), nullable=False),
    Column("state", String(24), nullable=False),
    # What is run and how it is put together, as deflated JSON.
    Column("plan", LargeBinary, nullable=False),
    # Deflated JSON; null until it ends, and that of the run before while what failed runs again.
    Column("report", LargeBinary),
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    # First run id of the execution that wrote the report.
    Column("ended_by", String(80), nullable=False),
    Index("ix_cuttings_project_began", "project", "began_at"),
)

groups = Table(
    "groups",
    metadata,
    # The job that runs for all its members.
    Column("id", String(80), primary_key=True),
    # Digest of whom it was made for: whoever makes it again finds it by that.
    Column("name", String(80), nullable=False, unique=True),
    Column("backend", String(80), nullable=False),
    # How many seats it has.
    Column("members", Integer, nullable=False),
    # Of the job; null where none could be made.
    Column("request", _HASH),
    # Why none could be made, as JSON.
    Column("error", Text),
    # Who the provider counts, as a digest; empty where nobody is counted.
    Column("sender", String(80), nullable=False, default=""),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Index("ix_groups_sender_made", "sender", "made_at"),
)

seats = Table(
    "seats",
    metadata,
    # Of the submission that waits for others.
    Column("tag", String(80), primary_key=True),
    Column("job_id", String(80), nullable=False, index=True),
    # Null while it waits; set once.
    Column("group_id", String(80), index=True),
    # Its first pub within the group's, and how many it has.
    Column("first", Integer, nullable=False, default=0),
    Column("pubs", Integer, nullable=False),
    Column("executions", Integer, nullable=False),
    # Nobody waits for it any more. One that is in a group by then stays in it.
    Column("left", Boolean, nullable=False, default=False),
    Column("joined_at", DateTime(timezone=True), nullable=False),
    # Its part of the bill, as JSON; null until it has its results.
    Column("share", Text),
)
