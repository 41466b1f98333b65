"""What a client would like, as the header `Prefer` says it (RFC 7240)."""

MAX_WAIT_SECONDS = 60
"""A longer wait is cut to this; `Preference-Applied` says so. Proxies close connections that are silent for longer."""

_DIGITS = 9


def wait_seconds(prefer: str | None) -> int | None:
    """Seconds that the client would wait for a report; None where it does not say. What cannot be read is ignored."""
    for preference in (prefer or "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        digits = value.strip().strip('"')
        if name.strip().lower() == "wait" and digits.isdecimal() and len(digits) <= _DIGITS:
            return min(int(digits), MAX_WAIT_SECONDS)
    return None
