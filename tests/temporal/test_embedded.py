"""The embedded Temporal server: found, shared, started where ports are taken."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from qurable.temporal import embedded
from qurable.temporal.embedded import HOST, embedded_server, find_running


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
