"""What IBM's real client makes of every result that an emulator keeps; a program of its own, for its environment.

    python -m tests.chaos.paid_results < IDS

Reads provider job ids, one a line; writes JSON of each id and the shots of each pub's first register in hexadecimal,
in the order they were taken, classical bit 0 in the lowest bit of a shot's last byte; null where there is no result, and
no shots of what was estimated.
"""

import json
import sys
import warnings
from typing import Any


def main() -> None:
    """Ask for each."""
    warnings.simplefilter("ignore")
    from qiskit_ibm_runtime import QiskitRuntimeService

    service = QiskitRuntimeService()
    found = {}
    for name in sys.stdin.read().split():
        job = service.job(name)
        found[name] = [_shots(pub.data) for pub in job.result()] if str(job.status()) == "DONE" else None
    print(json.dumps(found))


def _shots(data: Any) -> str:
    first = next(iter(data.values()))
    return first.array.tobytes().hex() if hasattr(first, "get_counts") else ""


if __name__ == "__main__":
    main()
