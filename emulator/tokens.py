"""IAM: API keys become tokens, tokens become users. Tokens live in real time, by which clients watch them expire."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from emulator.answers import Refusal

_WRONG = "Login with an access token that is valid: "


class Tokens:
    """Makes and checks tokens: JSON web tokens, signed by this emulator.

    Args:
        kept: As `kept` gave it; empty for new ones.
    """

    def __init__(self, kept: dict[str, Any]) -> None:
        self._secret = str(kept.get("secret") or secrets.token_hex(32))
        self._generation = int(kept.get("generation", 0))
        self._oldest = int(kept.get("oldest", 0))
        self._keys: list[str] | None = kept.get("keys")

    def kept(self) -> dict[str, Any]:
        """What to keep; API keys as digests."""
        return {
            "secret": self._secret,
            "generation": self._generation,
            "oldest": self._oldest,
            "keys": self._keys,
        }

    def revoke(self) -> None:
        """No token that was given so far is good any more."""
        self._generation += 1
        self._oldest = self._generation

    def restore(self) -> None:
        """All of them are good again."""
        self._oldest = 0

    def accept(self, keys: list[str] | None) -> None:
        """Give tokens for these API keys alone; None for all."""
        self._keys = None if keys is None else [_digest(key) for key in keys]

    def give(self, api_key: str, seconds: float) -> dict[str, Any]:
        """IAM's answer to an API key.

        Args:
            api_key: Whatever was sent.
            seconds: Real seconds that the token lives.

        Raises:
            Refusal: No such key.
        """
        if not api_key or (self._keys is not None and _digest(api_key) not in self._keys):
            raise Refusal(400, 415, "BXNIM0415E: Provided API key could not be found.")
        issued = int(time.time())
        expires = issued + max(1, int(seconds))
        claims = {
            "iam_id": user_of(api_key),
            "iat": issued,
            "exp": expires,
            "generation": self._generation,
        }
        signed = f"{_encoded(json.dumps({'alg': 'HS256', 'typ': 'JWT'}))}.{_encoded(json.dumps(claims))}"
        return {
            "access_token": f"{signed}.{self._signature(signed)}",
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": expires - issued,
            "expiration": expires,
            "scope": "ibm openid",
        }

    def user(self, authorization: str) -> str:
        """Whose token an `Authorization` header holds.

        Raises:
            Refusal: None, a wrong one, an expired or a revoked one. A bare API key is none.
        """
        scheme, _, token = authorization.partition(" ")
        signed, _, signature = token.rpartition(".")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            signature.encode(), self._signature(signed).encode()
        ):
            raise Refusal(401, 1201, _WRONG + "this one was not given here")
        claims = json.loads(_decoded(signed.partition(".")[2]))
        if claims["exp"] <= time.time():
            raise Refusal(401, 1201, _WRONG + "this one has expired")
        if claims["generation"] < self._oldest:
            raise Refusal(401, 1201, _WRONG + "this one was revoked")
        return str(claims["iam_id"])

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.digest(self._secret.encode(), signed.encode(), "sha256"))


def user_of(api_key: str) -> str:
    """The user that an API key belongs to; each key has its own."""
    return "IBMid-" + _digest(api_key)[:10].upper()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _encoded(part: str | bytes) -> str:
    data = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
