"""Names that are an interface: workflows, activities, task queues, search attributes, entry-point groups.

Other services, dashboards and recorded histories refer to these strings; changing one needs a patch in
the workflows and a line in the changelog.
"""

from enum import StrEnum

BATCH = "Batch"
COMPARISON = "Comparison"
CUT = "Cut"
COLLECTOR = "Collector"
HYBRID_JOB = "HybridJob"
MATRIX = "Matrix"
READ_STORE = "ReadStore"
RECONCILE = "Reconciler"
SET_BUDGET = "SetBudget"
SET_ROLLOUT = "SetRollout"
SHADOW = "Shadow"
VARIATIONAL = "Variational"
PRECISE = "Precise"
SCHEDULED_RUN = "ScheduledRun"

DECIDE = "decide"
"""The update by which somebody approves of a job, or refuses it."""

STEER = "steer"
"""The update by which somebody stops, pauses or changes a variational loop."""

JOIN = "join"
"""The update by which a job joins those that wait in a collector."""

RECONCILER_SCHEDULE = "qurable-reconciler"
"""Id of the schedule that runs the reconciler."""

BACKENDS_GROUP = "qurable.backends"
COMMANDS_GROUP = "qurable.commands"
DECISIONS_GROUP = "qurable.decisions"
OBJECTIVES_GROUP = "qurable.objectives"

NAMESPACE_RETENTION_DAYS = 30

CLASSICAL = "classical"
"""Asked for as a backend: the solver that suits best."""

CLASSICAL_PREFIX = "classical:"
"""Of the backends that answer without a quantum computer, or the simulation of one."""

CACHE = "cache"
"""The backend that gives the answer of an earlier job to the same question."""

PROJECT_PATTERN = r"^[a-z0-9-]{1,40}$"
"""A project is a public slug: it appears in workflow ids and search attributes, which are plain text."""

USER_PATTERN = r"^[a-z0-9-]{0,40}$"
"""A user is a public slug too, or nobody in particular."""

DATA_CLASS_PATTERN = r"^[a-z0-9-]{0,40}$"
"""How confidential a job is, in the house's own words; empty where nobody says."""


class Queue(StrEnum):
    """Task queues, one per kind of work, so that none waits behind another."""

    WORKFLOWS = "qurable"
    COMPILE = "qurable-compile"
    SIM = "qurable-sim"
    GPU = "qurable-gpu"
    SUBMIT = "qurable-submit"
    HARDWARE = "qurable-hardware"
    CLASSICAL = "qurable-classical"


class Activity(StrEnum):
    """Activity types, named for the stage they run; a merged stage carries the names of its parts."""

    ACCEPT = "accept"
    VALIDATE = "validate"
    PLAN_ROUTE = "plan_route"
    TRANSPILE = "transpile"
    PREPARE = "validate+plan_route+transpile"
    OPEN_SESSION = "open_session"
    SUBMIT = "submit"
    AWAIT_START = "await_start"
    AWAIT_DONE = "await_done"
    AWAIT_CALIBRATION = "await_calibration"
    FETCH = "fetch"
    POST_PROCESS = "post_process"
    RECORD = "record"
    FINISH = "fetch+post_process+record"
    WITHDRAW = "withdraw"
    CLOSE_SESSION = "close_session"
    BATCH_BEGIN = "batch_begin"
    BATCH_ADVANCE = "batch_advance"
    BATCH_CANCEL = "batch_cancel"
    BATCH_END = "batch_end"
    PLAN_CUT = "plan_cut"
    RUN_FRAGMENTS = "run_fragments"
    CANCEL_FRAGMENTS = "cancel_fragments"
    END_CUT = "end_cut"
    READ_STORE = "read_store"
    RECONCILE = "reconcile"
    SET_BUDGET = "set_budget"
    APPROVAL = "approval"
    CHANGE = "change"
    SET_ROLLOUT = "set_rollout"
    BEGIN_LOOP = "begin_loop"
    ITERATE = "iterate"
    END_LOOP = "end_loop"
    LOOP_TURN = "loop_turn"
    LOOP_LAST = "loop_last"
    LEAVE_SESSIONS = "leave_sessions"
    MATRIX_BEGIN = "matrix_begin"
    MATRIX_ADVANCE = "matrix_advance"
    MATRIX_CANCEL = "matrix_cancel"
    MATRIX_END = "matrix_end"
    PLAN_SHADOW = "plan_shadow"
    COMPARE_SHADOW = "compare_shadow"
    PRECISE = "precise"
    DUE = "due"
    DUE_REQUEST = "due_request"
    TALLY_FIRE = "tally_fire"
    BEGIN_COMPARISON = "begin_comparison"
    LEG_REQUEST = "leg_request"
    JUDGE_LEG = "judge_leg"
    END_COMPARISON = "end_comparison"
    JOIN_GROUP = "join_group"
    AWAIT_TURN = "await_turn"
    START_GROUP = "start_group"
    AWAIT_GROUP = "await_group"
    LEAVE_GROUP = "leave_group"


class Attribute(StrEnum):
    """Search attributes; none holds user text."""

    STAGE = "QurableStage"
    BACKEND = "QurableBackend"
    SERVED_BY = "QurableServedBy"
    PROJECT = "QurableProject"
    CIRCUIT = "QurableCircuit"
    PROVIDER_JOB = "QurableProviderJob"
    DEGRADED = "QurableDegraded"
    QUBITS = "QurableQubits"
    QPU_SECONDS = "QurableQpuSeconds"
