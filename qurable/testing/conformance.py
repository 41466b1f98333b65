"""The questions every backend is asked.

    async def test_my_backend_conforms():
        shelf = MemoryShelf()
        backend = my_factory(BackendContext(name="mine", shelf=shelf))
        await Conformance(backend, shelf).ask_all()

Needs the extra `qiskit`, to compile the circuits that are sent.
"""

import asyncio
import io
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from qurable.backend import QuantumBackend, Shelf, Simulator, StillWaiting
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, JobRef, Phase, Piece, Submission, SubmissionKey
from qurable.contracts.jobs import Method
from qurable.contracts.observables import Observables
from qurable.contracts.targets import TargetDocument

T = TypeVar("T")

_DEADLINE_SECONDS = 300.0
_LOOK_AGAIN_SECONDS = 0.05
_SHOTS = 200
_ROUNDING = 1e-6


class Conformance:
    """Asks a backend what its Protocol promises; each question raises `AssertionError` where the answer is wrong.

    Args:
        backend: Under test. Jobs are really run on it.
        shelf: The one it was given.
        method: A simulation method it has, for simulators.
        noise: Whether its own noise is asked for; then outcomes are not compared with the ideal.
        samples: Whether it samples at all; one that does not is asked the same of expectation values.
    """

    def __init__(
        self,
        backend: QuantumBackend,
        shelf: Shelf,
        *,
        method: Method = Method.AUTOMATIC,
        noise: bool = False,
        samples: bool = True,
    ) -> None:
        self._backend = backend
        self._shelf = shelf
        self._method = method
        self._noise = noise
        self._samples = samples

    @property
    def questions(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """Every question, easiest first."""
        return (
            self.it_describes_itself,
            self.it_says_what_to_compile_for,
            self.it_knows_no_job_that_was_never_submitted,
            self.submitting_twice_starts_one_job,
            self.a_job_is_found_by_its_key,
            self.results_have_the_promised_shape,
            self.results_are_the_same_on_every_call,
            self.bindings_keep_their_order,
            self.expectation_values_come_with_errors,
            self.a_withdrawn_job_stays_withdrawn,
            self.withdrawing_nothing_finds_nothing,
            self.a_finished_job_is_not_undone,
            self.an_interrupted_run_goes_on,
        )

    async def ask_all(self) -> None:
        """Ask everything in turn."""
        for question in self.questions:
            await question()

    async def it_describes_itself(self) -> None:
        """The snapshot carries the backend's own name, twice the same."""
        first, second = await self._backend.target(), await self._backend.target()

        assert first.name == self._backend.name
        assert first == second

    async def it_says_what_to_compile_for(self) -> None:
        """The target document has operations, among them measurement, and says the same twice."""
        document = await self._backend.target_document(self._method)

        assert "measure" in {operation.name for operation in document.operations}
        assert document == await self._backend.target_document(self._method)

    async def it_knows_no_job_that_was_never_submitted(self) -> None:
        """`find` says None rather than raise."""
        assert await self._backend.find(_key(self._backend.name)) is None

    async def submitting_twice_starts_one_job(self) -> None:
        """The same key is the same job, whoever asks; one of two at once may be told to ask again."""
        submission = await self._bell()
        first, second = await asyncio.gather(
            _answered(lambda: self._backend.submit(submission)),
            _answered(lambda: self._backend.submit(submission)),
        )

        assert first == second

    async def a_job_is_found_by_its_key(self) -> None:
        """Whoever lost the answer to a submission finds the job."""
        submission = await self._bell()
        job = await self._backend.submit(submission)

        assert await self._backend.find(submission.key) == job

    async def results_have_the_promised_shape(self) -> None:
        """Packed bits, uint8, one row per shot; a noiseless Bell circuit reads 00 or 11. Or <ZZ> and <XX>, both 1."""
        pieces = await self._done(await self._bell())
        if not self._samples:
            assert self._noise or _values(pieces) == [1.0, 1.0]
            return
        bits = _bits(pieces)

        assert bits.dtype.name == "uint8"
        assert bits.shape == (1, _SHOTS, 1)
        assert self._noise or {int(byte) for byte in bits.ravel()} <= {0b00, 0b11}

    async def results_are_the_same_on_every_call(self) -> None:
        """A retried fetch must not bring another answer."""
        submission = await self._bell()
        await self._done(submission)
        job = await self._backend.submit(submission)

        assert await self._backend.result(job) == await self._backend.result(job)

    async def bindings_keep_their_order(self) -> None:
        """Binding i of a pub is row i of its result."""
        angles = (0.0, 3.141592653589793)
        bindings = Bindings(parameters=("p0",), shape=(2,), values=angles)
        if not self._samples:
            z = Observables.model_validate("Z")
            values = _values(
                await self._done(
                    await self._submission(_flip(measured=False), bindings=bindings, observables=z)
                )
            )
            assert len(values) == 2
            assert self._noise or (abs(values[0] - 1.0) < _ROUNDING and abs(values[1] + 1.0) < _ROUNDING)
            return
        bits = _bits(await self._done(await self._submission(_flip(measured=True), bindings=bindings)))

        assert bits.shape == (2, _SHOTS, 1)
        ones = [float((row & 1).mean()) for row in bits]
        assert self._noise or ones == [0.0, 1.0] or not any(ones)
        assert ones[0] <= ones[1]

    async def expectation_values_come_with_errors(self) -> None:
        """An estimate from shots has a value and a standard error for every element."""
        observables = Observables.model_validate(["ZZ", "XX"])
        pieces = await self._done(await self._submission(_pair(measured=False), observables=observables))
        arrays = _arrays(pieces[0])

        assert sorted(arrays["index"].tolist()) == [0, 1]
        assert len(arrays["evs"]) == len(arrays["stds"]) == 2
        assert all(error >= 0 for error in arrays["stds"])
        assert all(-1.0 <= value <= 1.0 for value in arrays["evs"])

    async def a_withdrawn_job_stays_withdrawn(self) -> None:
        """Cancelling twice is as good as once, and the state says so."""
        submission = await self._bell()
        job = await self._backend.submit(submission)
        first = await self._backend.cancel(submission.key)
        second = await self._backend.cancel(submission.key)

        assert first.found
        assert second.found
        assert (await self._backend.state(job)).phase is first.final
        assert first.final in {Phase.CANCELLED, Phase.DONE}

    async def withdrawing_nothing_finds_nothing(self) -> None:
        """A key that started nothing is no error."""
        assert not (await self._backend.cancel(_key(self._backend.name))).found

    async def a_finished_job_is_not_undone(self) -> None:
        """A cancellation that comes too late leaves the result where it is."""
        submission = await self._bell()
        pieces = await self._done(submission)
        cancelled = await self._backend.cancel(submission.key)
        job = await self._backend.submit(submission)

        assert cancelled.final in {Phase.DONE, Phase.CANCELLED}
        if cancelled.final is Phase.DONE:
            assert await self._backend.result(job) == pieces

    async def an_interrupted_run_goes_on(self) -> None:
        """A simulation that was stopped gives, when it is run again, what it would have given."""
        if not isinstance(self._backend, Simulator):
            return
        whole, cut = await self._bell(), await self._bell()
        job = await self._backend.submit(cut)
        running = asyncio.create_task(_run(self._backend, job))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        first, second = await self._done(whole), await self._done(cut)
        if self._samples:
            assert (_bits(first) == _bits(second)).all()
        else:
            assert _values(first) == _values(second)

    async def _bell(self) -> Submission:
        if not self._samples:
            both = Observables.model_validate(["ZZ", "XX"])
            return await self._submission(_pair(measured=False), observables=both)
        return await self._submission(_pair(measured=True))

    async def _submission(
        self, circuit: Any, *, bindings: Bindings | None = None, observables: Observables | None = None
    ) -> Submission:
        document = await self._backend.target_document(self._method)
        isa = _compiled(circuit, document)
        body = io.BytesIO()
        from qiskit import qpy

        qpy.dump(isa, body)
        target = await self._backend.target()
        pub = IsaPub(
            isa=await self._shelf.keep_artifact("isa", body.getvalue()),
            layout=None if isa.layout is None else tuple(isa.layout.final_index_layout()),
            bindings=bindings or Bindings(),
            observables=observables,
            shots=_SHOTS,
            seed=7,
            num_clbits=isa.num_clbits,
            size=isa.size(),
            qubits=circuit.num_qubits,
            method=self._method,
            memory_bytes=2**20,
        )
        return Submission(
            key=_key(self._backend.name),
            kind="sample" if observables is None else "estimate",
            pubs=(pub,),
            noise=target.target if self._noise else None,
        )

    async def _done(self, submission: Submission) -> Sequence[Piece]:
        """The result of a submission, within the deadline."""
        job = await self._backend.submit(submission)
        async with asyncio.timeout(_DEADLINE_SECONDS):
            if isinstance(self._backend, Simulator):
                await _run(self._backend, job)
            while (await self._backend.state(job)).phase is not Phase.DONE:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return await self._backend.result(job)


async def _run(simulator: Simulator, job: JobRef) -> None:
    await _answered(lambda: simulator.run(job, lambda _: None))


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """What a backend answers that may put its answer off, within the deadline."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while True:
            try:
                return await ask()
            except StillWaiting as waiting:
                await asyncio.sleep(waiting.again_in.total_seconds())


def _key(backend: str) -> SubmissionKey:
    return SubmissionKey(job_id=f"conformance-{secrets.token_hex(8)}", backend=backend, digest="0" * 64)


def _pair(*, measured: bool) -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2 if measured else 0)
    circuit.h(0)
    circuit.cx(0, 1)
    if measured:
        circuit.measure([0, 1], [0, 1])
    return circuit


def _flip(*, measured: bool) -> Any:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    circuit = QuantumCircuit(1, 1 if measured else 0)
    circuit.rx(Parameter("p0"), 0)
    if measured:
        circuit.measure(0, 0)
    return circuit


def _compiled(circuit: Any, document: TargetDocument) -> Any:
    """The circuit in the document's operations, on its couplings."""
    from qiskit import transpile

    names = [operation.name for operation in document.operations if operation.name in _standard_names()]
    coupled = [
        list(pair) for operation in document.operations for pair in operation.qargs or () if len(pair) == 2
    ]
    return transpile(
        circuit, basis_gates=names, coupling_map=coupled or None, optimization_level=0, seed_transpiler=1
    )


def _standard_names() -> set[str]:
    from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

    return set(get_standard_gate_name_mapping())


def _arrays(piece: Piece) -> dict[str, Any]:
    import numpy as np

    with np.load(io.BytesIO(piece.data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _values(pieces: Sequence[Piece]) -> list[float]:
    """Expectation values in the order of the result."""
    found = {
        int(at): round(float(value), 9)
        for piece in pieces
        for arrays in [_arrays(piece)]
        for at, value in zip(arrays["index"], arrays["evs"], strict=True)
    }
    return [found[at] for at in sorted(found)]


def _bits(pieces: Sequence[Piece]) -> Any:
    import numpy as np

    return np.concatenate([_arrays(piece)["bits"] for piece in sorted(pieces, key=lambda piece: piece.start)])
