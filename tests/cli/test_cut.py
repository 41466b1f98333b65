"""`qurable cut`, as a shell runs it."""

from pathlib import Path

import pytest
from qiskit import QuantumCircuit, qasm3

from tests.cli.shell import qurable
from tests.conftest import Service
from tests.cut_at_hand import exact_marginal, exact_values, two_halves


@pytest.mark.long
async def test_the_price_is_shown_and_the_cut_is_run_and_found_again(
    service: Service, tmp_path: Path
) -> None:
    """Nothing runs for its price, and to sample is refused with the reason before a service is looked for."""
    file = tmp_path / "two_halves.qasm"
    file.write_text(qasm3.dumps(two_halves()), encoding="utf-8")
    wishes = "--marginal 3,0 --backend aer --qubits 2 --shots 500 --seed 5".split()
    asked = ["cut", str(file), "--observable", "ZIII", *wishes]

    price = await qurable(service, *asked, "--price")
    ran = await qurable(service, *asked, "--key", "shell", "--json")
    shown = await qurable(service, "cut", "--attach", ran.document["id"])
    sampled = await qurable(service, "cut", str(file), "--backend", "aer", "--qubits", "2")

    assert price.code == 0
    assert "overhead      9 times the shots of the whole circuit" in price.out
    assert "cut           gate cx on qubit 1, 2" in price.out
    assert ran.code == 0
    value, error = ran.document["evs"]["values"][0], ran.document["stds"]["values"][0]
    assert abs(value - exact_values(two_halves(), ["ZIII"])[0]) < 4 * error
    (marginal,) = ran.document["marginals"]
    exact = exact_marginal(two_halves(), (3, 0))
    assert all(
        abs(marginal["probabilities"][word] - exact[word]) < 4 * marginal["errors"][word] for word in exact
    )
    assert shown.code == 0
    assert f"{value:.6f}" in shown.out
    assert (sampled.code, "cannot be sampled" in sampled.err) == (2, True)


async def test_an_estimate_too_wide_for_a_device_points_to_the_command(
    service: Service, tmp_path: Path
) -> None:
    """Whoever reads the refusal in a shell need not know the documentation."""
    file = tmp_path / "wide.qasm"
    file.write_text(qasm3.dumps(_wide()), encoding="utf-8")

    ended = await qurable(service, "run", str(file), "--observable", "ZIIIII", "--backend", "fake_manila")

    assert ended.code != 0
    assert "estimate it in fragments" in ended.err
    assert "qurable cut" in ended.err


def _wide() -> QuantumCircuit:
    """One qubit more than fake_manila has, and no Clifford gates that something else could answer."""
    circuit = QuantumCircuit(6, name="wide")
    for qubit in range(6):
        circuit.ry(0.3 + qubit, qubit)
    for qubit in range(5):
        circuit.cx(qubit, qubit + 1)
    return circuit
