"""Names that are an interface: workflows, activities, task queues, search attributes, entry-point groups.

Other services, dashboards and recorded histories refer to these strings; changing one needs a patch in
the workflows and a line in the changelog.
"""

from enum import StrEnum

HYBRID_JOB = "HybridJob"
READ_STORE = "ReadStore"

BACKENDS_GROUP = "qurable.backends"
COMMANDS_GROUP = "qurable.commands"

NAMESPACE_RETENTION_DAYS = 30

PROJECT_PATTERN = r"^[a-z0-9-]{1,40}$"
"""A project is a public slug: it appears in workflow ids and search attributes, which are plain text."""


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
    SUBMIT = "submit"
    AWAIT_START = "await_start"
    AWAIT_DONE = "await_done"
    FETCH = "fetch"
    POST_PROCESS = "post_process"
    RECORD = "record"
    FINISH = "fetch+post_process+record"
    WITHDRAW = "withdraw"
    READ_STORE = "read_store"


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
