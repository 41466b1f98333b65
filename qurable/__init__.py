"""Durable workflows for hybrid quantum-classical jobs.

    async with Qurable.connect() as qurable:
        report = await qurable.run("bell.qasm", shots=1000, backend="aer")
        print(report.counts())

Names are imported when they are first used, so that `import qurable` costs next to nothing; Qiskit is never
imported unless a circuit of its own comes in or a `PrimitiveResult` is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qurable.blocking import BlockingQurable
    from qurable.client import Job, Qurable
    from qurable.contracts.jobs import (
        EstimateJob,
        Limits,
        Requirements,
        SampleJob,
        SimulatorOptions,
        SolveJob,
        TranspileOptions,
    )
    from qurable.contracts.reports import JobReport, JobStatus, State
    from qurable.primitives import QurableEstimator, QurableSampler
    from qurable.requests import estimate, sample, solve

_HOME = {
    "BlockingQurable": "qurable.blocking",
    "EstimateJob": "qurable.contracts.jobs",
    "Job": "qurable.client",
    "JobReport": "qurable.contracts.reports",
    "JobStatus": "qurable.contracts.reports",
    "Limits": "qurable.contracts.jobs",
    "Qurable": "qurable.client",
    "QurableEstimator": "qurable.primitives",
    "QurableSampler": "qurable.primitives",
    "Requirements": "qurable.contracts.jobs",
    "SampleJob": "qurable.contracts.jobs",
    "SimulatorOptions": "qurable.contracts.jobs",
    "SolveJob": "qurable.contracts.jobs",
    "State": "qurable.contracts.reports",
    "TranspileOptions": "qurable.contracts.jobs",
    "estimate": "qurable.requests",
    "sample": "qurable.requests",
    "solve": "qurable.requests",
}

__all__ = [
    "BlockingQurable",
    "EstimateJob",
    "Job",
    "JobReport",
    "JobStatus",
    "Limits",
    "Qurable",
    "QurableEstimator",
    "QurableSampler",
    "Requirements",
    "SampleJob",
    "SimulatorOptions",
    "SolveJob",
    "State",
    "TranspileOptions",
    "estimate",
    "sample",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'qurable' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
