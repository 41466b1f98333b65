"""Examples of batches for OpenAPI: requests that run as they stand, and answers in brief."""

import json
from typing import Any

from gateway.examples import BELL, JOB_ID

BATCH_ID = "default-batch-3b0f5e2a9c7d41e8a6b2c4d0"

_JOBS = [
    {"kind": "sample", "backend": "aer", "seed": seed, "pubs": [{"circuit": BELL, "shots": 100}]}
    for seed in (7, 8)
]

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "description": "A job, as `POST /jobs` takes it."},
            },
            "examples": {"bell": {"summary": "A Bell circuit with two seeds", "value": _JOBS}},
        },
        "application/jsonl": {
            "schema": {"type": "string", "description": "A job on each line, as JSON."},
            "examples": {
                "bell": {
                    "summary": "The same as JSON lines",
                    "value": "".join(json.dumps(job) + "\n" for job in _JOBS),
                }
            },
        },
    },
}

_LINKS = {"batch": f"/batches/{BATCH_ID}", "items": f"/batches/{BATCH_ID}/items"}

OPEN_BATCH: dict[str, Any] = {
    "id": BATCH_ID,
    "project": "default",
    "state": "running",
    "items": 2,
    "counts": {"accepted": 2},
    "groups": 1,
    "chunks": 1,
    "in_flight": 1,
    "broken": [],
    "report": None,
    "error": None,
    "links": _LINKS,
}

ENDED_BATCH: dict[str, Any] = {
    **OPEN_BATCH,
    "state": "completed",
    "counts": {"completed": 2},
    "in_flight": 0,
    "report": {
        "id": BATCH_ID,
        "project": "default",
        "state": "completed",
        "items": 2,
        "counts": {"completed": 2},
        "groups": 1,
        "chunks": 1,
        "accepted": "2026-11-21T08:05:51.899Z",
        "ended": "2026-11-21T08:05:52.103Z",
        "price": 0.0,
    },
}

_ITEM = {
    "item": 0,
    "line": 1,
    "state": "completed",
    "job_id": JOB_ID,
    "index": 0,
    "served_by": "aer",
    "seed": 7,
    "results": [
        {
            "kind": "sample",
            "shape": [],
            "shots": 100,
            "bit_order": "rightmost character is bit 0",
            "registers": [{"name": "c", "num_bits": 2, "counts": {"00": 52, "11": 48}}],
            "metadata": {},
        }
    ],
}

ITEMS: dict[str, Any] = {"items": [_ITEM], "after": 1, "next": f"/batches/{BATCH_ID}/items?after=1&limit=1"}
ITEM_LINES = json.dumps(_ITEM) + "\n"
