"""A data folder that cannot be one is named before anything starts."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from qurable.errors import RequestRejected
from qurable.home import made
from qurable.temporal.duty import announced
from qurable.temporal.embedded import embedded_server
from store.database import Database


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    assert made(tmp_path / "new" / "data").is_dir()
    assert made(tmp_path / "new" / "data").is_dir()


async def _serve(home: Path) -> None:
    async with embedded_server(home):
        pass


async def _announce(home: Path) -> None:
    with announced(home):
        pass


async def _store(home: Path) -> None:
    Database(f"sqlite:///{home / 'store.db'}")


@pytest.mark.parametrize("use", [_serve, _announce, _store])
async def test_a_file_in_its_place_is_said_in_a_sentence(
    use: Callable[[Path], Awaitable[None]], tmp_path: Path
) -> None:
    """With the way out; not with a traceback from wherever it was first used."""
    home = tmp_path / "data"
    home.write_text("a file", encoding="ascii")

    with pytest.raises(RequestRejected, match=rf"data cannot be kept in {home}.* set QURABLE_HOME"):
        await use(home)
