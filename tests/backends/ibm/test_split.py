"""How a submission becomes jobs of the provider's."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.ibm.split import DeviceLimits, parts, rows
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, PartIntent, Submission
from qurable.contracts.ibm import IbmOptions, LayerNoise, Pec, Resilience
from qurable.contracts.observables import Observables
from qurable.contracts.pubs import broadcast
from qurable.errors import JobTooLarge, RequestRejected
from tests.backends.ibm.submissions import submission

PLAIN = DeviceLimits()
SHAPES = [(), (1,), (3,), (2, 2), (2, 1), (1, 3), (0,)]


def _pub(
    shape: tuple[int, ...] = (), *, shots: int = 1000, observables: object = None, size: int = 10
) -> IsaPub:
    count = math.prod(shape)
    return IsaPub(
        isa="f" * 64,
        bindings=Bindings(parameters=("p0",), shape=shape, values=tuple(map(float, range(count)))),
        observables=None if observables is None else Observables.model_validate(observables),
        shots=shots,
        seed=1,
        num_clbits=2,
        size=size,
        qubits=2,
    )


def _bindings_of(divided: Sequence[PartIntent]) -> list[tuple[int, int]]:
    """Every (pub, binding) that the parts run."""
    return [
        (piece.pub, at) for part in divided for piece in part.slices for at in range(piece.start, piece.stop)
    ]


@pytest.mark.parametrize("outer", SHAPES)
@pytest.mark.parametrize("inner", SHAPES)
def test_rows_pair_as_numpy_broadcasts(inner: tuple[int, ...], outer: tuple[int, ...]) -> None:
    """What is measured in a binding is what Qiskit's broadcasting says, for every pair of shapes."""
    try:
        shape = broadcast(inner, outer)
    except ValueError:
        return
    bindings = np.broadcast_to(np.arange(math.prod(inner)).reshape(inner), shape).ravel()
    observables = np.broadcast_to(np.arange(math.prod(outer)).reshape(outer), shape).ravel()
    due = {(int(b), int(o), flat) for flat, (b, o) in enumerate(zip(bindings, observables, strict=True))}
    pub = _pub(inner)
    array = Observables(shape=outer, items=tuple(Observables.model_validate("Z").items * math.prod(outer)))

    found = [
        (row.binding, observable, flat)
        for row in rows(pub.bindings, array, 0, pub.bindings.size)
        for observable, flat in zip(row.observables, row.results, strict=True)
    ]

    assert len(found) == len(due)
    assert set(found) == due


@settings(max_examples=60, deadline=None)
@given(
    pubs=st.lists(
        st.tuples(st.sampled_from(SHAPES), st.sampled_from([100, 1000, 4000])), min_size=1, max_size=6
    ),
    executions=st.integers(4000, 30_000),
    circuits=st.sampled_from([None, 1, 2]),
)
def test_parts_cover_every_binding_once_within_the_limits(
    pubs: list[tuple[tuple[int, ...], int]], executions: int, circuits: int | None
) -> None:
    """Nothing is paid for twice, nothing is left out, and equal submissions are divided alike."""
    asked = submission(*(_pub(shape, shots=shots) for shape, shots in pubs))
    limits = DeviceLimits(max_executions=executions, max_circuits=circuits)

    divided = parts(asked, limits)

    ran = _bindings_of(divided)
    assert sorted(ran) == [(at, b) for at, pub in enumerate(asked.pubs) for b in range(pub.bindings.size)]
    for part in divided:
        shots = {asked.pubs[piece.pub].shots for piece in part.slices}
        assert len(shots) == 1
        assert shots.pop() * sum(piece.stop - piece.start for piece in part.slices) <= executions
        assert circuits is None or len({piece.pub for piece in part.slices}) <= circuits
        assert part.estimate is not None
        assert 1.9 <= part.estimate.low <= part.estimate.high
    assert divided == parts(Submission.read(asked.model_dump_json()), limits)


def test_pubs_of_equal_shots_share_a_job() -> None:
    """The provider takes five jobs a minute: a job for each pub would wait for ever."""
    asked = submission(*[_pub((20,), shots=1000) for _ in range(50)])

    assert len(parts(asked, PLAIN)) == 1


def test_as_few_jobs_as_the_executions_allow() -> None:
    """12,000 bindings of 1,000 shots are 12 million executions: three jobs of at most five."""
    divided = parts(submission(_pub((12_000,))), PLAIN)

    assert [(part.slices[0].start, part.slices[0].stop) for part in divided] == [
        (0, 5000),
        (5000, 10_000),
        (10_000, 12_000),
    ]


def test_different_shots_are_different_jobs() -> None:
    """Different shots in one job are deprecated by the V2 primitives and refused by their successors."""
    divided = parts(submission(_pub(shots=100), _pub(shots=200), _pub(shots=100)), PLAIN)

    assert [[piece.pub for piece in part.slices] for part in divided] == [[0, 2], [1]]


def test_circuits_are_counted_after_grouping() -> None:
    """XX and ZZ take two circuits, ZI and IZ one; a noise factor multiplies them."""
    asked = submission(_pub(shots=1000, observables=[["XX", "ZZ"]]), options=IbmOptions(resilience_level=0))
    apart = submission(_pub(shots=1000, observables=[["ZI", "IZ"]]), options=IbmOptions(resilience_level=0))

    assert len(parts(asked, DeviceLimits(max_executions=2000))) == 1
    with pytest.raises(JobTooLarge):
        parts(asked, DeviceLimits(max_executions=1999))
    assert len(parts(apart, DeviceLimits(max_executions=1000))) == 1
    level_two = asked.model_copy(update={"ibm": IbmOptions(resilience_level=2)})
    with pytest.raises(JobTooLarge, match=r"6,144 executions"):  # 2 x 3 noise factors x 16 twirls of 64
        parts(level_two, DeviceLimits(max_executions=6000))


def test_one_binding_beyond_the_limit_is_refused_with_the_numbers() -> None:
    """Shots of one binding are never split: a part of them would be another experiment."""
    with pytest.raises(JobTooLarge, match=r"1,000,000 executions.*999,999 at most") as caught:
        parts(submission(_pub(shots=1_000_000)), DeviceLimits(max_executions=999_999))

    assert caught.value.details == {"needed": 1_000_000, "limit": 999_999}


def test_a_request_stays_below_its_size() -> None:
    """A body that no gateway takes would be found out after the queue of submissions."""
    asked = submission(_pub((100,), size=1000), _pub((100,), size=1000))
    whole = parts(asked, PLAIN)
    small = parts(asked, DeviceLimits(max_payload_bytes=30_000))

    assert len(whole) == 1
    assert len(small) == 2
    with pytest.raises(JobTooLarge, match="MiB"):
        parts(asked, DeviceLimits(max_payload_bytes=10_000))


def test_exact_values_are_refused() -> None:
    """Hardware has shots."""
    with pytest.raises(RequestRejected, match="exact"):
        parts(submission(_pub(shots=0, observables="ZZ")), PLAIN)


def test_too_many_shots_are_refused() -> None:
    """Beyond the device's own most."""
    with pytest.raises(JobTooLarge, match="100 at most"):
        parts(submission(_pub(shots=101)), DeviceLimits(max_shots=100))


def test_each_part_says_what_is_to_be_reserved_for_it() -> None:
    """Room above its own estimate, or what the caller allows each of the provider's jobs."""
    two = submission(_pub(shots=100), _pub(shots=200))
    allowed = submission(_pub(shots=100), options=IbmOptions(max_execution_time=300))

    for part in parts(two, PLAIN):
        assert part.estimate is not None
        assert part.reserve is not None
        assert 2 * part.estimate.high <= part.reserve < 2 * part.estimate.high + 1
    assert [part.reserve for part in parts(allowed, PLAIN)] == [300]


def test_mitigation_costs_more() -> None:
    """The range grows with every method, and ends at the time limit that was set."""

    def most(options: IbmOptions) -> float:
        (part,) = parts(submission(_pub(observables="ZZ"), options=options), PLAIN)
        assert part.estimate is not None
        return part.estimate.high

    none, readout, zne = (most(IbmOptions(resilience_level=level)) for level in (0, 1, 2))
    pec = most(IbmOptions(resilience_level=0, resilience=Resilience(pec_mitigation=True)))
    boundless = most(
        IbmOptions(resilience_level=0, resilience=Resilience(pec_mitigation=True, pec=Pec(max_overhead=None)))
    )

    noise = LayerNoise(gates=((0, 1),), rates=(("Z", (0,), 0.01),))
    given = most(
        IbmOptions(resilience_level=0, resilience=Resilience(pec_mitigation=True, layer_noise_model=(noise,)))
    )

    assert none < readout < zne < given < pec < boundless
    assert most(IbmOptions(resilience_level=2, max_execution_time=3)) == 3.0
