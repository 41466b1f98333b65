"""`classical:<solver>` for jobs made of circuits: the classical solvers under the contract of every backend."""

from fallback.solvers.circuits import CIRCUIT_SOLVERS
from fallback.solvers.protocol import CircuitSolver, absent, versions_of
from isolation.limits import MIB, Limits
from isolation.runs import Engine, Program
from isolation.simulation import SimulatedBackend
from qurable.backend import Beat, QuantumBackend
from qurable.contracts.executions import JobRef
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetSnapshot
from qurable.errors import BackendNotInstalled
from qurable.names import Queue

_DESCRIBE_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=60.0)


class CircuitBackend(SimulatedBackend):
    """One solver.

    Args:
        name: As registered.
        engine: What it runs on.
        solver: Decides what it can do and what its children run.
    """

    def __init__(self, name: str, engine: Engine, solver: CircuitSolver) -> None:
        program = Program(
            task=solver.task, fresh=solver.fresh, seconds=lambda pub, _noisy: solver.seconds(pub)
        )
        super().__init__(name, engine, program)
        self._solver = solver

    async def target(self) -> TargetSnapshot:
        """Any width; the solver decides about a circuit.

        Raises:
            BackendNotInstalled: One of the solver's libraries is absent.
        """
        self._check_installed()
        return TargetSnapshot(
            name=self.name,
            answer_kind=AnswerKind.CLASSICAL,
            simulator=True,
            dynamic_circuits=self._solver.dynamic_circuits,
            exact_values=True,
            version=", ".join(
                f"{name} {found}" for name, found in versions_of(self._solver.distributions).items()
            ),
            submit_queue=Queue.WORKFLOWS,
            run_queue=Queue.CLASSICAL,
            description=self._solver.description,
        )

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:  # noqa: ARG002  a solver has one
        """What the solver runs, on any qubits."""
        if self._solver.target is not None:
            return self._solver.target
        document = await self._engine.pool.call(
            "circuits.targets:describe_simulator_task", str(self._solver.method), _DESCRIBE_LIMITS
        )
        return TargetDocument.read(document)

    async def run(self, job: JobRef, beat: Beat) -> None:
        """Compute what is missing.

        Raises:
            BackendNotInstalled: One of the solver's libraries is absent on this worker.
        """
        self._check_installed()
        await super().run(job, beat)

    def _check_installed(self) -> None:
        missing = absent(self._solver.needs)
        if missing:
            raise BackendNotInstalled(
                f"backend {self.name!r} needs {' and '.join(missing)}, which this worker's environment has not: install "
                f"{' and '.join(self._solver.distributions)} there",
                missing=missing,
            )


def circuit_backends(engine: Engine) -> dict[str, QuantumBackend]:
    """Every solver's backend by its name."""
    return {name: CircuitBackend(name, engine, solver) for name, solver in CIRCUIT_SOLVERS.items()}
