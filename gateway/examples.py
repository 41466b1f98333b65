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
    "backends": [
        {
            "name": "aer",
            "answer_kind": "simulator",
            "available": True,
            "version": "0.18.2",
            "health": {
                "breaker": {"state": "closed", "since": "2026-11-14T08:05:51.899Z"},
                "calls": 120,
                "faults": 0,
                "latency_seconds": 0.04,
            },
        }
    ]
}

BUDGETS: dict[str, Any] = {
    "standings": [
        {
            "budget": {"scope": "project", "name": "chemistry", "period": "month", "qpu_seconds": 600.0},
            "month": "2026-11",
            "reserved_seconds": 12.0,
            "spent_seconds": 340.5,
            "left_seconds": 247.5,
            "forecast": {
                "qpu_seconds": 486.4,
                "basis": "340.5 QPU seconds in 21.0 of 30 days, on a straight line",
            },
        }
    ],
    "guardrails": [{"project": "chemistry", "shots": 20000}],
}

_CANARY: dict[str, Any] = {
    "rule": {
        "name": "canary",
        "backend": "ibm:fez",
        "when": {"asked": "ibm"},
        "share": 0.1,
        "by": "user",
    },
    "by": "ada",
    "at": "2026-11-21T08:05:51.899Z",
}

ROLLOUT: dict[str, Any] = {
    "rules": [_CANARY],
    "changes": [{"name": "canary", **_CANARY}],
    "shadows": [
        {
            "rule": "look",
            "backend": "fake_fez",
            "ended": 40,
            "compared": 40,
            "differing": 3,
            "bound": 0.000025,
            "answers": {"seconds": 0.21, "qpu_seconds": 0.0},
            "shadows": {"seconds": 0.84, "qpu_seconds": 0.0},
            "latest": [
                {
                    "rule": "look",
                    "backend": "fake_fez",
                    "answer": {"job_id": JOB_ID, "served_by": "aer", "seconds": 0.2},
                    "shadow": {
                        "job_id": "default-4e1f0c9a7d2b4c68a5e3f017",
                        "served_by": "fake_fez",
                        "seconds": 0.9,
                    },
                    "p_value": 3.1e-12,
                    "ended": "2026-11-21T08:05:53.104Z",
                    "pubs": [
                        {
                            "pub": 0,
                            "kind": "sample",
                            "p_value": 3.1e-12,
                            "distance": 0.034,
                            "null_quantile": 0.041,
                            "looked_at": "all outcomes of 1 table",
                        }
                    ],
                }
            ],
        }
    ],
}

_PLAN = "5bd1e2a7c0f94b6d8e3a1f27c9b4d6058e7f1a2b3c4d5e6f708192a3b4c5d6e7"

APPROVALS: dict[str, Any] = {
    "waiting": [
        {
            "job_id": JOB_ID,
            "project": "default",
            "rung": 0,
            "backend": "ibm:torino",
            "route": _PLAN,
            "terms": {
                "because": "up to 40.00 USD are more than 25",
                "estimate": 40.0,
                "cap": 120.0,
                "currency": "USD",
                "approvers": ["grace"],
                "timeout": "PT4H",
                "at_timeout": "next_rung",
            },
            "asked": "2026-11-21T08:05:51.899Z",
            "expires": "2026-11-21T12:05:51.899Z",
        }
    ]
}

WORDS: dict[str, Any] = {
    "approve": {
        "summary": "Let it be sent, for 60 USD at most",
        "value": {"approve": True, "by": "grace", "reason": "for the paper", "cap": 60.0},
    },
    "refuse": {
        "summary": "Have the next rung answer",
        "value": {"approve": False, "by": "grace", "reason": "the simulator will do", "route": _PLAN},
    },
}

DECISION: dict[str, Any] = {
    "approve": True,
    "by": "grace",
    "reason": "for the paper",
    "cap": 60.0,
    "route": _PLAN,
    "via": "http",
    "at": "2026-11-21T09:12:03.412Z",
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

WHY: dict[str, Any] = {
    "id": JOB_ID,
    "state": "completed",
    "asked": "aer",
    "served_by": "aer",
    "because": "asked for by name",
    "explanation": {
        "problem": "What 1 circuit reads, for 1 binding in all.",
        "circuit": "'bell' has depth 2 and 1 two-qubit gate as written, depth 2 and 1 as compiled for 'aer' at level 0.",
        "backend": "'aer' (simulator), by stabilizer: asked for by name.",
        "shots": "1,000 for each binding, 1,000 in all.",
        "checks": "Shot count passed.",
        "accepted": "Accepted: 1 of 1 checks passed.",
    },
    "verdict": {
        "ruling": "accept",
        "because": "1 of 1 checks passed",
        "checks": [
            {
                "rule": "shot count",
                "outcome": "passed",
                "then": "refuse",
                "because": "1,000 shots came, as asked",
            }
        ],
    },
    "error_budget": {
        "parts": [
            {
                "source": "shot_noise",
                "value": 0.0158,
                "unit": "standard error of the least certain outcome's share",
                "basis": "sqrt(p (1 - p) / 1,000) of the counts, over the first 64 bindings of each pub",
                "pub": 0,
            }
        ],
        "remedies": [
            {
                "source": "shot_noise",
                "what": "4 times the shots on 'aer'",
                "seconds": 0.006,
                "basis": "0.002 s of runs, and not more than that for as many shots again",
            }
        ],
    },
    "considered": [{"name": "aer", "taken": True, "because": "asked for by name", "kind": "simulator"}],
    "taken": ["aer"],
}
