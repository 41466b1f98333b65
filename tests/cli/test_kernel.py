"""`qurable kernel` and `qurable features`, as a shell runs them."""

from pathlib import Path

import numpy as np
import pytest

from qurable.matrix_files import read_matrix
from tests.cli.shell import qurable
from tests.conftest import Service

MAP = """OPENQASM 3.0;
include "stdgates.inc";
input float a;
input float b;
qubit[2] q;
ry(a) q[0];
cx q[0], q[1];
ry(b) q[1];
"""


@pytest.mark.long
async def test_a_kernel_and_features_come_from_a_csv_and_go_to_an_npz(
    service: Service, tmp_path: Path
) -> None:
    """The same key attaches to what is there; a cell that is no number is named; what is missing is code 4's business."""
    circuit, data, test = (tmp_path / name for name in ("map.qasm", "train.csv", "test.csv"))
    circuit.write_text(MAP, encoding="utf-8")
    data.write_text("left,right\n0.1,0.2\n0.3,-0.4\n\n0.5,0.6\n", encoding="utf-8")
    test.write_text("0.1,0.2\n", encoding="utf-8")
    made, broken = tmp_path / "kernel.npz", tmp_path / "broken.csv"
    broken.write_text("0.1,0.2\n0.3,many\n", encoding="utf-8")

    asked = ("kernel", str(circuit), "--data", str(data), "--test", str(test), "--exact", "--key", "cli")
    told = await qurable(service, *asked, "--output", str(made))
    summed = await qurable(service, *asked, "--json")
    seen = await qurable(
        service, "features", str(circuit), "-d", str(data), "-o", "ZI", "--precision", "0", "--json"
    )
    refused = await qurable(service, "kernel", str(circuit), "--data", str(broken), "--json")
    unclear = await qurable(service, "kernel", "--data", str(data), "--json")

    assert (told.code, "3 of 3 entries" in told.out, "positive semidefinite" in told.out) == (0, True, True)
    matrix = read_matrix(made, sha256=summed.document["sha256"])
    assert matrix["train"].shape == (3, 3)
    assert np.allclose(matrix["test"], matrix["train"][:1])
    assert (summed.document["state"], summed.document["test_shape"]) == ("completed", [1, 3])
    assert (seen.code, seen.document["shape"]) == (0, [3, 1])
    assert (refused.code, "line 2, column 2: 'many' is no number" in refused.err) == (2, True)
    assert (unclear.code, "give one of FILE" in unclear.err) == (2, True)
