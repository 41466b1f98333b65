"""Signing in: the token that requests carry instead of the API key, and how long it is used."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qurable.errors import TargetUnavailable

_USED_SHARE = 0.8
_UNTOLD_LIFETIME = 60.0
_SHORTEST_SECRET = 12
"""IBM's keys are longer; what is shorter is a placeholder, and may be part of any word."""


@dataclass(frozen=True)
class _Bearer:
    """A token, and until when it is used by the machine's own uptime: no clock that can be wrong is asked."""

    token: str
    claims: Mapping[str, Any]
    until: float

    @classmethod
    def read(cls, answer: Any) -> "_Bearer":
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise TargetUnavailable("the provider's sign-in answered without a token")
        claims = _claims(token)
        lifetime = answer.get("expires_in")
        if isinstance(claims.get("exp"), int | float) and isinstance(claims.get("iat"), int | float):
            lifetime = claims["exp"] - claims["iat"]
        usable = (
            lifetime * _USED_SHARE if isinstance(lifetime, int | float) and lifetime > 0 else _UNTOLD_LIFETIME
        )
        return cls(token, claims, _uptime() + usable)


_bearers: dict[tuple[str, str], _Bearer] = {}
_keys: set[str] = set()
_hidden: set[str] = set()


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _claims(token: str) -> Mapping[str, Any]:
    import jwt

    try:
        claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}
    return claims


def _bearer(auth: Any) -> _Bearer:
    key = (str(auth.tm.url), str(auth.api_key))
    _keys.add(key[1])
    kept = _bearers.get(key)
    if kept is None or _uptime() >= kept.until:
        # Not `get_token`: after one failure that waits for a minute, and it loops where clocks disagree.
        kept = _bearers[key] = _Bearer.read(auth.tm.request_token())
    return kept


def bearer_headers(auth: Any) -> dict[str, str]:
    """Stands in for `CloudAuth.get_headers`, which sends the API key where it gets no token.

    Raises:
        Exception: Whatever the sign-in failed with; nothing is sent then.
    """
    return {"Service-CRN": auth.crn, "Authorization": f"Bearer {_bearer(auth).token}"}


def claims_of(service: Any) -> Mapping[str, Any]:
    """What the token in use says of its owner, empty where it is opaque."""
    return _bearer(service._active_api_client._session.auth).claims  # noqa: SLF001


def forget_tokens() -> None:
    """Sign in again at the next request."""
    _bearers.clear()


def hide(*secrets: str) -> None:
    """Have these, the credentials of a proxy, kept out of messages."""
    _hidden.update(filter(None, secrets))


def secrets() -> list[str]:
    """Every key and token that was used, for what must not show in a message."""
    known = {*_keys, os.environ.get("QISKIT_IBM_TOKEN", ""), *(kept.token for kept in _bearers.values())}
    return [*(secret for secret in known if len(secret) >= _SHORTEST_SECRET), *_hidden]
