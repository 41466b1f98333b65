"""A calibration plot as an SVG of its own: estimate across, measured success up, the diagonal between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_SIZE, _MARGIN = 480, 56
_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#555555")


@dataclass(frozen=True)
class Point:
    """One circuit.

    Attributes:
        name: Of the circuit.
        kind: Family it is of.
        estimate: Survival, 0 to 1.
        without_idle: The same from gates and readings alone.
        success: Share of shots with a right outcome.
        shots: So many.
        two_qubit_gates: Of the ISA circuit.
    """

    name: str
    kind: str
    estimate: float
    without_idle: float
    success: float
    shots: int
    two_qubit_gates: int

    @property
    def standard_error(self) -> float:
        """Of the success."""
        return math.sqrt(max(self.success * (1 - self.success), 1e-9) / self.shots)


def draw(points: Sequence[Point], correlation: str, device: str) -> str:
    """The plot; bars are two standard errors to each side."""
    kinds = list(dict.fromkeys(point.kind for point in points))
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE + 2 * _MARGIN} {_SIZE + 2 * _MARGIN}" '
            'font-family="sans-serif" font-size="13">'
        ),
        f"<title>Survival estimate and success on the noisy twin of {escape(device)}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        _axes(),
        *(_mark(point, _COLOURS[kinds.index(point.kind)]) for point in points),
        *(_key(number, kind) for number, kind in enumerate(kinds)),
        _text(_SIZE / 2 + _MARGIN, 24, f"{len(points)} circuits on the noisy twin of {device}", "middle"),
        _text(_SIZE / 2 + _MARGIN, 42, f"rank correlation {correlation}", "middle"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _across(value: float) -> float:
    return _MARGIN + value * _SIZE


def _up(value: float) -> float:
    return _MARGIN + (1 - value) * _SIZE


def _axes() -> str:
    lines = [
        f'<path d="M{_across(0)} {_up(1)} V{_up(0)} H{_across(1)}" fill="none" stroke="black"/>',
        f'<path d="M{_across(0)} {_up(0)} L{_across(1)} {_up(1)}" stroke="#999" stroke-dasharray="5 4"/>',
        _text(_SIZE / 2 + _MARGIN, _SIZE + 2 * _MARGIN - 14, "survival estimate", "middle"),
        (
            f'<text x="16" y="{_SIZE / 2 + _MARGIN}" text-anchor="middle" '
            f'transform="rotate(-90 16 {_SIZE / 2 + _MARGIN})">share of right outcomes</text>'
        ),
    ]
    for tenths in range(0, 11, 2):
        lines.append(_text(_across(tenths / 10), _up(0) + 18, f"{tenths / 10:g}", "middle"))
        lines.append(_text(_across(0) - 8, _up(tenths / 10) + 4, f"{tenths / 10:g}", "end"))
    return "\n".join(lines)


def _mark(point: Point, colour: str) -> str:
    bar = 2 * point.standard_error
    across, up = _across(point.estimate), _up(point.success)
    return (
        f'<g fill="{colour}" stroke="{colour}"><path d="M{across:.1f} {_up(point.success - bar):.1f} '
        f'V{_up(point.success + bar):.1f}"/><circle cx="{across:.1f}" cy="{up:.1f}" r="4" fill-opacity="0.7">'
        f"<title>{escape(point.name)}: {point.two_qubit_gates} two-qubit gates</title></circle></g>"
    )


def _key(number: int, kind: str) -> str:
    left, top = _across(0.72), _up(0.28) + 20 * number
    return f'<circle cx="{left:.0f}" cy="{top:.0f}" r="5" fill="{_COLOURS[number]}"/>' + _text(
        left + 12, top + 4, kind, "start"
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'
