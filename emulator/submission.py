"""What a client submits, read strictly: a job, or a session."""

import json
from dataclasses import dataclass
from typing import Any

from emulator.answers import Refusal
from emulator.jobs import MAX_EXECUTION_SECONDS
from emulator.settings import Settings

PROGRAMS = ("sampler", "estimator", "executor")
MODES = ("dedicated", "batch")


@dataclass(frozen=True)
class Submission:
    """A job as `POST /jobs` describes it.

    Attributes:
        program: sampler, estimator or executor.
        backend: Device.
        params: JSON text of the parameters.
        tags: In order.
        private: Its results may be read once.
        session_id: Its session or batch.
        cost: Maximum execution time, QPU seconds.
        calibration_id: Asked for.
    """

    program: str
    backend: str
    params: str
    tags: list[str]
    private: bool
    session_id: str | None
    cost: float | None
    calibration_id: str | None


def document_of(body: bytes) -> dict[str, Any]:
    """The JSON object of a request's body.

    Raises:
        Refusal: It is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, 1211, "The body is no JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, 1211, "The body must be a JSON object")
    return document


def read_submission(body: bytes, settings: Settings) -> Submission:
    """A job.

    Raises:
        Refusal: A field is missing or not acceptable; it is named.
    """
    document = document_of(body)
    program = document.get("program_id")
    if program not in PROGRAMS:
        raise Refusal(404, 1207, f"Program {program!r:.80} is not emulated: {', '.join(PROGRAMS)} are")
    backend, params = document.get("backend"), document.get("params")
    if not isinstance(backend, str) or not backend:
        raise Refusal(400, 1211, "`backend` is missing")
    if not isinstance(params, dict):
        raise Refusal(400, 1211, "`params` must be an object")
    if document.get("start_session"):
        raise Refusal(400, 1211, "`start_session` is not emulated: open a session by POST /sessions")
    session_id = document.get("session_id")
    if session_id is not None and not isinstance(session_id, str):
        raise Refusal(400, 1211, "`session_id` must be text")
    cost = document.get("cost")
    if cost is not None and (
        isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 < cost <= MAX_EXECUTION_SECONDS
    ):
        raise Refusal(
            400, 1211, f"`cost` {cost!r:.40} must be above 0 and at most {MAX_EXECUTION_SECONDS:,.0f} seconds"
        )
    calibration_id = document.get("calibration_id")
    return Submission(
        program,
        backend,
        json.dumps(params),
        read_tags(document.get("tags"), settings),
        document.get("private") is True,
        session_id,
        cost,
        None if calibration_id is None else str(calibration_id),
    )


def read_tags(tags: Any, settings: Settings) -> list[str]:
    """Tags of a job; none where there are none.

    Raises:
        Refusal: Too many, too long, or not texts.
    """
    if tags is None:
        return []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Refusal(400, 1211, "`tags` must be a list of texts")
    if len(tags) > settings.max_tags:
        raise Refusal(400, 1204, f"{len(tags)} tags are too many: at most {settings.max_tags}")
    for tag in tags:
        if not 0 < len(tag) <= settings.max_tag_characters:
            raise Refusal(
                400, 1205, f"Tag {tag!r:.40} must have 1 to {settings.max_tag_characters} characters"
            )
    return tags


def read_session(body: bytes, settings: Settings) -> tuple[str, str, float]:
    """Backend, mode and longest life (seconds) of a new session.

    Raises:
        Refusal: A field is missing or not acceptable.
    """
    document = document_of(body)
    backend, mode = document.get("backend"), document.get("mode", "dedicated")
    longest = settings.session_max_ttl_seconds
    max_ttl = document.get("max_ttl", longest)
    if not isinstance(backend, str) or not backend:
        raise Refusal(400, 1211, "`backend` is missing")
    if mode not in MODES:
        raise Refusal(400, 1211, f"`mode` {mode!r:.40} is neither {' nor '.join(MODES)}")
    if isinstance(max_ttl, bool) or not isinstance(max_ttl, int | float) or not 0 < max_ttl <= longest:
        raise Refusal(
            400, 1217, f"`max_ttl` {max_ttl!r:.40} must be above 0 and at most {longest:,.0f} seconds"
        )
    return backend, mode, float(max_ttl)
