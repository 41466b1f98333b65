"""A window on the command line, and what people read of a provider job that was shared."""

import re
from pathlib import Path

import pytest

from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.paid import DEVICE, Paid


def _file(folder: Path) -> str:
    file = folder / "bell.qasm"
    file.write_text(BELL, encoding="ascii")
    return str(file)


@pytest.mark.long
async def test_run_and_why_say_that_the_provider_job_was_shared(paid: Paid, tmp_path: Path) -> None:
    """With whom, as which job, and what part of the bill is the caller's."""
    asked = ("--shots", "300", "--backend", DEVICE, "--project", "shell", "--batch-window", "0.5s")
    ended = await qurable(paid.service, "run", _file(tmp_path), *asked)
    taken = await paid.one()
    listed = await qurable(paid.service, "list", "--project", "shell", "--json")
    found = re.search(
        r"^shared +provider job (\S+) of 1 job, run as (\S+): part 100.0%", ended.out, re.MULTILINE
    )

    assert ended.code == 0, ended.err
    assert found is not None, ended.out
    assert found[1] == taken["id"]
    (own,) = [one["id"] for one in listed.document if one["id"] != found[2]]
    why = await qurable(paid.service, "why", own)
    group = await qurable(paid.service, "result", found[2])
    assert f"shared   provider job {taken['id']} of 1 job" in why.out
    assert "shared   by 1 job" in group.out
    assert re.search(rf"^provider job {taken['id']}", group.out, re.MULTILINE)


async def test_a_window_that_is_none_is_refused_with_the_way_out(paid: Paid, tmp_path: Path) -> None:
    """Before anything is sent."""
    refused = await qurable(paid.service, "run", _file(tmp_path), "--batch-window", "1h")

    assert refused.code == 2
    assert "batch_window" in refused.err
    assert "600 s" in refused.err
