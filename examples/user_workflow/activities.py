"""The caller's own steps, checkpointed like the job's stages."""

from temporalio import activity

from qurable.contracts.reports import JobReport

TASK_QUEUE = "parity"


@activity.defn
async def write_program(qubits: int) -> str:
    """A GHZ circuit as OpenQASM 3."""
    steps = "\n".join(f"cx q[{at}], q[{at + 1}];" for at in range(qubits - 1))
    return f'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[{qubits}] q;\nbit[{qubits}] c;\nh q[0];\n{steps}\nc = measure q;\n'


@activity.defn
async def agreement(report: JobReport) -> float:
    """Share of the shots in which all qubits agree; the rightmost bit of an outcome is bit 0."""
    counts = report.counts()
    agreeing = sum(number for outcome, number in counts.items() if len(set(outcome)) == 1)
    return agreeing / sum(counts.values())
