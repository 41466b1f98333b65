"""Every family of MQT Bench: which widths it comes in, and which form carries it to the service.

A text form means that MQT Bench's circuit is exported by Qiskit and read back by the service; where no text
works, the typed client sends the circuit as QPY, and `why` says what is in the way.
"""

import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mqt.bench import BenchmarkLevel, get_benchmark
from qiskit import QuantumCircuit, qasm2, qasm3

from qurable.contracts.circuits import CircuitFormat

QASM2, QASM3, CLIENT = CircuitFormat.OPENQASM2, CircuitFormat.OPENQASM3, CircuitFormat.QPY

SHOTS = 4096

_EITHER = (QASM2, QASM3)
_NO_QASM2 = "OpenQASM 2 has no condition on a single bit"


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        name: As MQT Bench calls it.
        widths: Sizes asked of MQT Bench, up to 20 qubits.
        wide: Sizes beyond, for the long tests.
        forms: Forms that carry it; the widths take them in turn.
        why: What keeps it from the other forms, or what is odd about it.
        once: A run takes so long that it is not repeated.
    """

    name: str
    widths: tuple[int, ...]
    wide: tuple[int, ...] = ()
    forms: tuple[CircuitFormat, ...] = _EITHER
    why: str = ""
    once: bool = False


FAMILIES = (
    Family(
        "ae", (5, 10), forms=(CLIENT,), why="both exporters take an array among its parameters for a number"
    ),
    Family("bmw_quark_cardinality", (4, 20)),
    Family("bmw_quark_copula", (6, 12), why="even widths"),
    Family("bv", (5, 20), wide=(26,)),
    Family("cdkm_ripple_carry_adder", (6, 20), why="even widths from 4"),
    Family("dj", (18, 6)),
    Family("draper_qft_adder", (6, 14), why="even widths"),
    Family("dynamic_qft", (3, 6), forms=(QASM3,), why=_NO_QASM2),
    Family("full_adder", (8,), why="even widths from 4"),
    Family("ghz", (2, 20), wide=(26,)),
    Family("ghz_dynamic", (4,), forms=(QASM3,), why=_NO_QASM2),
    Family(
        "ghz_dynamic",
        (7,),
        forms=(CLIENT,),
        why=f"from 5 qubits on its conditions hold an exclusive or, which the OpenQASM 3 importer does not read; {_NO_QASM2}",
    ),
    Family("graphstate", (6, 16), why="another random graph on every call, but for a seed"),
    Family("grover", (4, 8)),
    Family("half_adder", (9,), forms=(QASM3,), why="odd widths from 3"),
    Family("hhl", (5, 8), why="from 3 qubits; measures one"),
    Family("hrs_cumulative_multiplier", (9,), why="one more than a multiple of 4"),
    Family("iqpe", (4, 6), forms=(QASM3,), why=f"two qubits whatever the size; {_NO_QASM2}"),
    Family("modular_adder", (8,), why="even widths"),
    Family("multiplier", (8,), forms=(QASM3,), why="multiples of 4"),
    Family("qaoa", (6, 12), why="measures nothing, so a measurement of every qubit is added"),
    Family("qft", (16, 8)),
    Family("qftentangled", (6, 10), wide=(24,)),
    Family("qnn", (14, 5)),
    Family("qpeexact", (6, 13)),
    Family("qpeinexact", (12, 5), wide=(22,)),
    Family("qwalk", (6, 10), why="from 3 qubits; from 17 on too long for OpenQASM 3"),
    Family("randomcircuit", (13, 6)),
    Family("rg_qft_multiplier", (12, 8), why="multiples of 4"),
    Family("seven_qubit_steane_code", (13,), why="multiples of 13"),
    Family(
        "shor",
        (18,),
        forms=(QASM2,),
        why="18 qubits or 42 and more; 31,107 gates, which make 620 kB of OpenQASM 3",
        once=True,
    ),
    Family("shors_nine_qubit_code", (17,), forms=(QASM3,), why="multiples of 17"),
    Family("vbe_ripple_carry_adder", (7, 16), why="one more than a multiple of 3"),
    Family("vqe_real_amp", (6, 16)),
    Family("vqe_su2", (18, 5), wide=(24,)),
    Family("vqe_two_local", (5, 12)),
    Family("wstate", (20, 5), wide=(26,)),
)


@dataclass(frozen=True)
class Case:
    """One circuit on its way to the service.

    Attributes:
        family: As MQT Bench calls it.
        width: Size asked of MQT Bench.
        form: How it travels.
        once: Whether one run must do.
    """

    family: str
    width: int
    form: CircuitFormat
    once: bool = False

    def __str__(self) -> str:
        return f"{self.family}-{self.width}-{self.form}"

    @property
    def seed(self) -> int:
        """Its own, and always the same."""
        return zlib.crc32(str(self).encode()) % 2**31

    def circuit(self) -> QuantumCircuit:
        """MQT Bench's circuit, with measurements."""
        circuit: QuantumCircuit
        with warnings.catch_warnings():
            # MQT Bench's shor still uses an argument that Qiskit 2.3 deprecated.
            warnings.filterwarnings("ignore", ".*argument ``annotated`` is deprecated", DeprecationWarning)
            if self.family == "graphstate":
                circuit = get_benchmark(self.family, BenchmarkLevel.ALG, self.width, seed=self.width)
            else:
                circuit = get_benchmark(self.family, BenchmarkLevel.ALG, self.width)
        if not circuit.num_clbits:
            circuit.measure_all()
        return circuit


def exported(circuit: QuantumCircuit, form: CircuitFormat) -> str:
    """The circuit as text, as Qiskit writes it."""
    text: str = qasm2.dumps(circuit) if form is QASM2 else qasm3.dumps(circuit)
    return text


def _cases(*, wide: bool) -> Iterator[Case]:
    for family in FAMILIES:
        for at, width in enumerate(family.wide if wide else family.widths):
            yield Case(family.name, width, family.forms[at % len(family.forms)], family.once)


CASES = tuple(_cases(wide=False))
WIDE_CASES = tuple(_cases(wide=True))
