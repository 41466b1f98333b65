"""A plain script with the blocking client: sample a GHZ state, then sweep an angle.

make up                           # in one shell
python examples/plain_script.py   # in another
"""

import math
from pathlib import Path

from qurable import BlockingQurable, estimate

GHZ = Path(__file__).parent / "circuits" / "ghz_5.qasm"

ROTATION = """OPENQASM 3.0;
include "stdgates.inc";
input float theta;
qubit[2] q;
ry(theta) q[0];
cx q[0], q[1];
"""


def sample_a_file(qurable: BlockingQurable) -> None:
    """Start a job, follow it, print its counts."""
    job_id = qurable.submit(GHZ, shots=1000, seed=7)
    print(f"job {job_id}")
    for event in qurable.events(job_id):
        print(f"  {event.at:%H:%M:%S.%f}  {event.state}")
    report = qurable.result(job_id)
    print(f"served by {report.served_by}: {report.because}")
    for outcome, count in report.counts().items():
        print(f"  {outcome}  {count}")


def sweep_an_angle(qurable: BlockingQurable) -> None:
    """One job for all angles: the circuit is transpiled once and bound after."""
    angles = [step * math.pi / 8 for step in range(5)]
    report = qurable.run(estimate((ROTATION, "XX", {"theta": angles}), precision=0.0))
    (result,) = report.results
    assert result.kind == "estimate"
    print(f"\njob {report.id}: <XX> of cos(theta/2)|00> + sin(theta/2)|11>")
    for angle, value in zip(angles, result.evs.values, strict=True):
        print(f"  theta {angle:.4f}  {value:+.6f}  (sin theta is {math.sin(angle):+.6f})")


def main() -> None:
    """Both, on one connection."""
    with BlockingQurable() as qurable:
        sample_a_file(qurable)
        sweep_an_angle(qurable)


if __name__ == "__main__":
    main()
