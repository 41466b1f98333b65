"""A certificate that nobody vouches for, and a proxy on the way: told in seconds, with nothing sent and no secret shown."""

import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.ibm.failures import scrub
from backends.ibm.reach import proxy_of
from emulator.serving import INSTANCE
from qurable.errors import HybridError, TargetUnavailable, TargetUntrusted
from tests.backends.ibm.driving import KEY, Driver
from tests.backends.ibm.on_the_way import LOOPBACK, Authority, Proxy, Relay
from tests.chaos.ports import free_port
from tests.paid import save_account

_NAME = "localhost"
_PAST = -timedelta(hours=1)
_PASSWORD = "horse-battery"
_ASKS = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
_REFUSES = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of this module's certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def secure(driver: Driver, authority: Authority) -> AsyncIterator[Relay]:
    """The provider behind a certificate that is good for whoever knows its authority."""
    async with Relay(driver.emulator.port, authority.certificate(_NAME)) as server:
        yield server


def _account(folder: Path, url: str, *, verify: Any, proxies: dict[str, str] | None = None) -> dict[str, Any]:
    """An account whose API is at an address, saved with what vouches for it; it signs in at the emulator itself."""
    file = folder / "accounts.json"
    save_account(file, "lab", url=url, token=KEY, instance=INSTANCE)
    saved = json.loads(file.read_text(encoding="utf-8"))
    saved["lab"] |= {"verify": verify} | ({} if proxies is None else {"proxies": {"urls": proxies}})
    file.write_text(json.dumps(saved), encoding="utf-8")
    return {"label": "lab", "name": "lab", "filename": str(file)}


def _at(server: Relay) -> str:
    return f"https://{_NAME}:{server.port}"


async def _refusals(driver: Driver) -> list[HybridError]:
    """What each kind of request ends with: to look, to open a session, and to submit."""
    return [
        await driver.refused("look", ids=["x"]),
        await driver.refused("open_session", device="manila", mode="session", max_seconds=60),
        await driver.refused("post", **driver.posting("unreached")),
    ]


async def test_a_certificate_that_is_vouched_for_is_no_hindrance(
    driver: Driver, authority: Authority, secure: Relay, tmp_path: Path
) -> None:
    """The way all others of these tests differ from."""
    driver.account = _account(tmp_path, _at(secure), verify=str(authority.bundle))

    job = await driver.post("vouched-for")

    assert await driver.jobs("vouched-for") == [job]
    assert secure.heard > 0


@pytest.mark.parametrize(
    ("name", "ends_in", "vouched", "says"),
    [
        (_NAME, timedelta(days=1), False, "issuer"),
        (_NAME, _PAST, True, "expired"),
        ("provider.example", timedelta(days=1), True, "not valid for 'localhost'"),
        (LOOPBACK, timedelta(days=1), True, "not valid for 'localhost'"),
    ],
    ids=["untrusted", "expired", "another name", "an address"],
)
async def test_a_certificate_that_is_not_trusted_is_told_as_such(
    driver: Driver,
    authority: Authority,
    tmp_path: Path,
    name: str,
    ends_in: timedelta,
    vouched: bool,
    says: str,
) -> None:
    """Whoever answers there may be anybody: it hears nothing, and is not asked again."""
    async with Relay(driver.emulator.port, authority.certificate(name, ends_in=ends_in)) as server:
        driver.account = _account(tmp_path, _at(server), verify=str(authority.bundle) if vouched else True)
        errors = await _refusals(driver)

    for error in errors:
        assert type(error) is TargetUntrusted
        assert not error.retry_here
        assert error.next_rung
        assert error.details["sent"] is False
        assert f"'{_NAME}:{server.port}'" in error.message
        assert says in error.message
        assert "REQUESTS_CA_BUNDLE" in error.message
    assert server.heard == 0
    assert await driver.submissions() == 0


async def test_no_key_is_shown_to_a_sign_in_that_is_not_trusted(driver: Driver, secure: Relay) -> None:
    """The key itself travels to where the client signs in, so that place least of all may be anybody."""
    driver.account = {"emulator": _at(secure)}

    errors = await _refusals(driver)

    assert {type(error) for error in errors} == {TargetUntrusted}
    assert secure.heard == 0


async def test_a_certificate_that_goes_bad_between_two_requests_stops_the_submission(
    driver: Driver, authority: Authority, secure: Relay, tmp_path: Path
) -> None:
    """A service that was built while all was well sends nothing once it is not."""
    driver.account = _account(tmp_path, _at(secure), verify=str(authority.bundle))
    await driver.ask("user")
    secure.show(authority.certificate(_NAME, ends_in=_PAST))
    heard = secure.heard

    error = await driver.refused("post", **driver.posting("gone-bad"))

    assert type(error) is TargetUntrusted
    assert error.details["sent"] is False
    assert secure.heard == heard
    assert await driver.jobs("gone-bad") == []


@pytest.mark.parametrize("where", ["account", "environment"])
async def test_requests_go_through_a_proxy_and_are_guarded_there_too(
    driver: Driver, authority: Authority, secure: Relay, tmp_path: Path, where: str
) -> None:
    """The one that the saved account names, or the environment's; a submission is sent once, and not after its fence."""
    async with Proxy() as way:
        address = f"http://me:{_PASSWORD}@{LOOPBACK}:{way.port}"
        mine = where == "account"
        driver.account = _account(
            tmp_path, _at(secure), verify=str(authority.bundle), proxies={"https": address} if mine else None
        )
        through = {"variables": {} if mine else {"HTTPS_PROXY": address}}

        async def ask(**payload: Any) -> Any:
            return await driver.ask(
                "tests.backends.ibm.probes:with_variables", within="post", **through, **payload
            )

        await driver.forget()
        tag = f"proxied-{where}"
        answer = await ask(**driver.posting(tag))
        late = await driver.refused(
            "tests.backends.ibm.probes:with_variables",
            within="post",
            **through,
            **driver.posting("late", not_after=time.time() - 1),
        )
        await driver.forget()

    assert await driver.jobs(tag) == [answer["id"]]
    assert await driver.submissions() == 1
    assert late.details["sent"] is False
    assert {head.split(" ")[1] for head in way.asked} == {f"{_NAME}:{secure.port}"}
    assert all("Proxy-Authorization: Basic" in head for head in way.asked)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (_ASKS, "(407)"),
        (_REFUSES, "does not connect"),
        pytest.param("", "does not answer", marks=pytest.mark.long),
        (None, "does not answer"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "was of no use|does not answer"),
    ],
    ids=["credentials", "refused", "silent", "dead", "no proxy at all"],
)
async def test_a_proxy_that_does_not_connect_is_told_as_such(
    driver: Driver, authority: Authority, secure: Relay, tmp_path: Path, answer: str | None, says: str
) -> None:
    """Not as an outage of the provider's; its password is in no message."""
    async with Proxy(b"" if answer is None else answer.encode()) as way:
        port = free_port() if answer is None else way.port
        address = f"http://me:{_PASSWORD}@{LOOPBACK}:{port}"
        driver.account = _account(
            tmp_path, _at(secure), verify=str(authority.bundle), proxies={"https": address}
        )
        errors = await _refusals(driver)

    for error in errors:
        assert type(error) is TargetUnavailable
        assert error.details["sent"] is False
        assert f"the proxy '{LOOPBACK}:{port}'" in error.message
        assert any(word in error.message for word in says.split("|"))
        assert _PASSWORD not in f"{error.message}{error.details}"
    assert secure.heard == 0
    assert await driver.submissions() == 0


async def test_a_plain_proxy_that_wants_credentials_has_refused_no_job(
    driver: Driver, tmp_path: Path
) -> None:
    """Without TLS the proxy answers in the provider's place, and what it refuses nobody has judged."""
    async with Proxy(_ASKS.encode()) as way:
        driver.account = _account(
            tmp_path, driver.emulator.url, verify=True, proxies={"http": f"http://{LOOPBACK}:{way.port}"}
        )
        error = await driver.refused("post", **driver.posting("plain"))

    assert type(error) is TargetUnavailable
    assert "(407)" in error.message


def test_credentials_of_a_proxy_are_kept_out_of_messages() -> None:
    """Also those that no address can be made out of, and those with characters of an address in them."""
    addresses = {
        "https": "http://ann:p@ss/w:rd@proxy.example:3128",
        "http": "bob:s%40crets@proxy.example:3128",
        "all": "http://cy:x@proxy.example",
    }
    asked = {"https": "https://a.example/x", "http": "http://a.example/x", "all": "ftp://a.example"}

    places = {proxy_of(asked[scheme], addresses) for scheme in asked}
    shown = scrub(" ".join([*addresses.values(), "bob:s@crets", "Failed to parse: cy:x@"]))

    assert places == {"proxy.example:3128", "proxy.example"}
    for secret in ("ss/w:rd", "s%40crets", "s@crets", "cy:x"):
        assert secret not in shown
    assert proxy_of("https://a.example", {}) == proxy_of("https://a.example", None) == ""
