"""`qurable route` shows where a job would run, and `--fallback` says what may answer instead; nothing runs."""

from pathlib import Path

from qurable.contracts.routes import Route
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import PaidStack, Service
from tests.paid import DEVICE


def _file(folder: Path, text: str = BELL) -> str:
    file = folder / "bell.qasm"
    file.write_text(text, encoding="ascii")
    return str(file)


async def test_route_prints_every_candidate_with_its_figures(paid_stack: PaidStack, tmp_path: Path) -> None:
    """A table for people: the ladder by its numbers, and of each place what it would take or why it is out."""
    async with paid_stack(strategy=None) as paid:
        ended = await qurable(paid.service, "route", _file(tmp_path), "--backend", DEVICE)
        taken = await paid.taken()

    assert ended.code == 0, ended.err
    header, *lines = [line for line in ended.out.splitlines() if line.strip()]
    rows = {line.split()[0]: line for line in lines}
    for column in (
        "backend",
        "rung",
        "kind",
        "verdict",
        "because",
        "wait",
        "QPU",
        "price",
        "survival",
        "memory",
    ):
        assert column in header
    assert " 1. " in rows[DEVICE]
    assert " USD " in rows[DEVICE]
    assert " 2. " in rows["fake_manila"]
    assert " MiB " in rows["aer"]
    assert "not taken" in rows["aer_gpu"]
    assert "GPU pays off" in rows["aer_gpu"]
    assert taken == []


async def test_route_is_one_document(service: Service, tmp_path: Path) -> None:
    """For programs; and what cannot run anywhere is said with the code of a refusal."""
    wide = BELL.replace("q[2]", "q[6]").replace("c[2]", "c[6]")
    fine = await qurable(service, "route", _file(tmp_path), "--json")
    refused = await qurable(service, "route", _file(tmp_path, wide), "--backend", "fake_manila", "--json")

    route = Route.model_validate(fine.document)
    assert fine.code == 0, fine.err
    assert [rung.name for rung in route.rungs] == ["aer"]
    assert len(route.table) == 64
    assert refused.code == 2
    assert refused.document["rungs"] == []
    assert "needs 6 qubits" in refused.document["considered"][0]["because"]


async def test_strict_ends_with_3_where_a_lower_rung_answered(paid_stack: PaidStack, tmp_path: Path) -> None:
    """And without, a degraded answer is an answer; without a ladder there is none."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.device("ibm_manila", status="paused", reason="maintenance")
        arguments = ("run", _file(tmp_path), "--backend", DEVICE, "--shots", "100")
        ended = [
            await qurable(paid.service, *arguments, *more)
            for more in (
                (),
                ("--strict",),
                ("--fallback", "none"),
                ("--fallback", "kinds=simulator", "--json"),
            )
        ]

    assert [one.code for one in ended] == [0, 3, 4, 0]
    assert "degraded" in ended[0].out
    assert ended[3].document["served_by"] == "aer"


async def test_wishes_that_are_none_are_refused(service: Service, tmp_path: Path) -> None:
    """Before anything is asked of a worker."""
    for wish in ("perhaps", "kinds=oracle", "leave_house=sometimes", "floor.value=1"):
        ended = await qurable(service, "route", _file(tmp_path), "--fallback", wish)
        assert ended.code == 2
        assert "fallback" in ended.err
