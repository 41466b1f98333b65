"""Examples for OpenAPI: requests that run as they stand, and answers in brief."""

from typing import Any

JOB_ID = "default-95d5c7f0ea18e9bd767e025c"
TASK_ID = "6f1f3a3e-5b0a-4c0e-9d38-5a4c8f7d2b11"

BELL = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n'
_ROTATION = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput angle theta;\nqubit[1] q;\nrx(theta) q[0];\n'

REQUESTS: dict[str, Any] = {
    "sample": {
        "summary": "Counts of a Bell circuit",
        "value": {
            "kind": "sample",
            "backend": "aer",
            "seed": 7,
            "pubs": [{"circuit": {"format": "openqasm3", "text": BELL}, "shots": 1000}],
        },
    },
    "estimate": {
        "summary": "Exact expectation values of Z for three angles",
        "value": {
            "kind": "estimate",
            "pubs": [
                {
                    "circuit": {"format": "openqasm3", "text": _ROTATION},
                    "bindings": {"parameters": ["theta"], "shape": [3], "values": [0.0, 0.5, 1.0]},
                    "observables": {"items": [{"terms": [{"pauli": "Z", "qubits": [0]}]}]},
                    "precision": 0,
                }
            ],
        },
    },
    "solve": {
        "summary": "The cut of a graph of one edge, sampled from a circuit",
        "value": {
            "kind": "solve",
            "problem": {"kind": "maxcut", "num_nodes": 2, "edges": [[0, 1, 1.0]]},
            "pub": {"circuit": {"format": "openqasm3", "text": BELL}, "shots": 100},
        },
    },
}

_LINKS = {
    "job": f"/jobs/{JOB_ID}",
    "events": f"/jobs/{JOB_ID}/events",
    "results": f"/jobs/{JOB_ID}/results",
}
_PUB = {
    "kind": "sample",
    "shape": [],
    "shots": 1000,
    "bit_order": "rightmost character is bit 0",
    "registers": [{"name": "c", "num_bits": 2, "counts": {"00": 512, "11": 488}}],
    "metadata": {},
}

OPEN_JOB: dict[str, Any] = {
    "id": JOB_ID,
    "state": "running",
    "stage": "await_done",
    "backend": "aer",
    "since": "2026-11-21T08:05:51.917561Z",
    "waited": 1.5,
    "then": "fetch",
    "attempt": 1,
    "last_failure": "",
    "events": [{"state": "accepted", "at": "2026-11-21T08:05:51.899Z", "backend": "", "detail": ""}],
    "results": [],
    "links": _LINKS,
}

ENDED_JOB: dict[str, Any] = {
    "id": JOB_ID,
    "state": "completed",
    "served_by": "aer",
    "degraded": False,
    "because": "asked for by name",
    "results": [_PUB],
    "links": _LINKS,
}

JOB_LIST: dict[str, Any] = {
    "jobs": [
        {
            "id": JOB_ID,
            "project": "default",
            "kind": "sample",
            "state": "completed",
            "asked": "aer",
            "served_by": "aer",
            "accepted": "2026-11-21T08:05:51.899Z",
            "ended": "2026-11-21T08:05:52.103Z",
            "labels": {},
        }
    ],
    "next": None,
}

FINISHED_PUBS: dict[str, Any] = {"id": JOB_ID, "pubs": [_PUB, None]}

BACKENDS: dict[str, Any] = {
    "backends": [{"name": "aer", "answer_kind": "simulator", "available": True, "version": "0.18.2"}]
}

EVENTS = (
    "id: 1\nevent: accepted\n"
    'data: {"state":"accepted","at":"2026-11-21T08:05:51.899Z","backend":"","detail":""}\n\n'
)

TASK_REQUEST: dict[str, Any] = {
    "bell": {
        "summary": "A Bell circuit",
        "value": {
            "quantum_circuit": 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0], q[1];\n'
            "measure q -> c;\n",
            "shots": 1024,
        },
    }
}

TASK: dict[str, Any] = {
    "id": TASK_ID,
    "circuit_qasm": TASK_REQUEST["bell"]["value"]["quantum_circuit"],
    "shots": 1024,
    "status": "completed",
    "result": {"11": 518, "00": 506},
    "error": None,
    "created_at": "2026-11-21T08:05:51.917561",
    "completed_at": "2026-11-21T08:05:51.936214+00:00",
}
