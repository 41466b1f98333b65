"""Circuits that many tests use."""

BELL = (
    'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0], q[1];\nmeasure q -> c;\n'
)

ENDLESS = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit q;\nbit[1] c;\nx q;\nc[0] = measure q;\n'
    "while (c[0] == true) { rx(0.3) q; rx(-0.3) q; c[0] = measure q; }\n"
)
"""A loop that measures one and goes on, for ever; not Clifford."""


def brickwork(qubits: int, layers: int) -> str:
    """Layers of rotations and neighbours: 20 qubits and 60 layers take seconds, in a single piece."""
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{qubits}];", f"creg c[{qubits}];"]
    for layer in range(layers):
        lines += [f"rx({0.1 * (layer + qubit + 1):.1f}) q[{qubit}];" for qubit in range(qubits)]
        lines += [f"cz q[{qubit}], q[{qubit + 1}];" for qubit in range(layer % 2, qubits - 1, 2)]
    return "\n".join([*lines, "measure q -> c;", ""])
