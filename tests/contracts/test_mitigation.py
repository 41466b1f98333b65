"""What a job may ask of its counts after the run, and what documents say of it."""

from datetime import timedelta
from typing import Any

import pytest

from qurable.contracts.arrays import BitArrays
from qurable.contracts.jobs import parse_request
from qurable.contracts.mitigation import MitigatedPubs, Mitigation, QuasiDistributions
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import RegisterResult, SampleResult, readable, to_primitive_result
from qurable.errors import RequestRejected
from qurable.requests import estimate, sample, solve
from tests.circuits_at_hand import BELL

_PLAIN = {
    "kind": "sample",
    "pubs": [{"circuit": BELL, "shots": 100}],
    "backend": "fake_manila",
    "seed": 7,
    "key": "k",
}
_DIGEST = "89dfdba28cd21f995b40eb176c704d035b8bbffff09729b3073dfdfa37c5aba5"
"""Of this job before there was a mitigation to ask for."""


def _registers(*names: str) -> SampleResult:
    """Four shots of two bits in each register: 0, 3, 3, 1."""
    bits = BitArrays.pack(bytes([0, 3, 3, 1]), shape=(), num_shots=4, num_bits=2)
    return SampleResult(shots=4, registers=tuple(RegisterResult(name=name, bits=bits) for name in names))


def test_a_job_that_asks_for_nothing_is_what_it_was() -> None:
    """Its digest, its results and its report say nothing of mitigation."""
    job = parse_request(_PLAIN)
    report = JobReport(id="i", project="p", kind="sample", state=State.COMPLETED, asked="aer")

    assert job.body_hash == _DIGEST
    assert parse_request({**_PLAIN, "mitigation": "readout"}).body_hash != _DIGEST
    assert "mitigat" not in _registers("c").model_dump_json() + report.model_dump_json()
    assert "mitigated" not in readable(_registers("c"))


def test_the_word_alone_asks_for_the_calibration_that_costs_nothing() -> None:
    """Ages are written as elsewhere; one without a calibration means nothing."""
    by_name = parse_request({**_PLAIN, "mitigation": "readout"})
    in_full = parse_request({**_PLAIN, "mitigation": {"readout": "reported"}})

    assert by_name.body_hash == in_full.body_hash
    assert Mitigation.model_validate({"readout": "reported", "max_age": "12h"}).max_age == timedelta(hours=12)
    with pytest.raises(ValueError, match="max_age bounds the age of a calibration"):
        Mitigation.model_validate({"max_age": "12h"})


def test_jobs_without_counts_are_refused_with_the_way_out() -> None:
    """Estimates have the provider's own; a problem's answer was really read."""
    problem: dict[str, Any] = {"kind": "maxcut", "num_nodes": 2, "edges": [[0, 1, 1.0]]}

    with pytest.raises(RequestRejected, match=r"ibm\.resilience_level 1"):
        estimate((BELL, ["ZZ"]), mitigation="readout")
    with pytest.raises(RequestRejected, match="sample the circuit"):
        solve(problem, BELL, mitigation="readout")
    assert sample(BELL, mitigation="readout").mitigation.readout == "reported"


def test_weights_are_read_over_all_registers_or_one() -> None:
    """As counts are written; documents and Qiskit's own results carry them."""
    quasi = QuasiDistributions(
        weights=({"00 00": 0.3, "11 01": 0.8, "01 01": -0.1},), overheads=(4.0,), qubits={0: 5}, left_out=(5,)
    )
    result = _registers("a", "b").model_copy(update={"mitigated": quasi})

    assert result.quasi()["01 01"] == -0.1
    assert result.quasi(name="a") == pytest.approx({"00": 0.3, "01": 0.7})
    assert result.quasi(name="b") == {"00": 0.3, "11": 0.8, "01": -0.1}
    assert quasi.standard_error(0, 4) == 1.0
    assert readable(result)["mitigated"]["weights"][0]["11 01"] == 0.8
    assert to_primitive_result((result,))[0].metadata["mitigated"]["overheads"] == (4.0,)
    assert SampleResult.read(result.model_dump_json()) == result
    assert MitigatedPubs.unpack(MitigatedPubs(pubs=(quasi,)).pack()).pubs == (quasi,)
    with pytest.raises(KeyError, match="'c'"):
        result.quasi(name="c")
    with pytest.raises(ValueError, match="were not mitigated"):
        _registers("a").quasi()
