"""Figures of a kernel: time, memory and error of everyone who was timed, by size.

Shapes of one source that differ in their inputs alone are a family. Where somebody was timed on
several sizes of a family, there is a curve for each; a size that stands alone is a row of dots.
Everyone stands at the work of the whole shape: the time of a part is scaled up by its pairs or
images, and its mark is hollow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from claimbench.kernels import KERNELS, checks, shapes
from claimbench.suite.definitions import Claim

from . import words
from .bench_records import flops, memory, percent
from .figures import Dots, Figure, Mark, Quantity, Sizes

if TYPE_CHECKING:
    from claimbench.suite.timing.comparison import Row

    from .asv_results import Timing
    from .bench_records import Compared

MOST = 6
"""Charts of one section; its table has every shape."""

FLOAT32 = 2.0**-23


class Asked(Protocol):
    """A shape as a claim file or the kernel itself declares it."""

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]: ...

    @property
    def arguments(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Measure:
    """What was measured of one contender on one shape.

    Attributes:
        about: the shape in words.
        family: equal for shapes that differ in their inputs alone.
        arguments: of the family, in words.
        work: operations of the whole shape; `None` where nobody has counted them.
        seconds: for the whole shape, with its quartiles.
        part: what of the shape it ran, in words; empty where all of it.
        allowed: what the error of a backend may be there; `None` where that is not known.
    """

    shape: str
    about: str
    family: str
    arguments: str
    contender: str
    peer: bool
    work: float | None
    seconds: float
    low: float
    high: float
    each: str = ""
    part: str = ""
    memory: int | None = None
    error: float | None = None
    floor: float | None = None
    allowed: float | None = None
    note: str = ""


def asked(kernel: str, claims: Iterable[Claim]) -> dict[str, Asked]:
    """Every shape that is declared for a kernel today, by the name that records have for it."""
    found: dict[str, Asked] = {
        f"{claim.id}.{label}": shape
        for claim in claims
        if claim.kernel == kernel
        for label, shape in claim.shapes.items()
    }
    return found | dict(_own(kernel))


def _own(kernel: str) -> Iterator[tuple[str, Asked]]:
    if kernel not in KERNELS:
        return
    for tier, of in (("standard", shapes.standard), ("sweep", shapes.sweep)):
        yield from ((f"{tier}.{label}", shape) for label, shape in of(kernel).items())


def of_bench(compared: Compared, known: Mapping[str, Asked]) -> Iterator[Measure]:
    """Everyone on one shape of a record of `kernels bench`."""
    whole = compared.whole or compared.rows[0]
    shape = known.get(compared.shape)
    if shape is not None and not _agrees(whole.inputs, shape.inputs):
        shape = None  # the record is of another time, when the name meant something else
    inputs = shape.inputs if shape else whole.inputs
    reference = compared.reference
    for row in compared.rows:
        scale = row.items_of_shape / row.items
        yield Measure(
            shape=compared.shape,
            about=_about(compared.shape, inputs, compared.work),
            family=_family(compared.shape, shape, whole.dtype),
            arguments=_arguments(shape),
            contender=row.contender,
            peer=row.kind == "peer",
            work=compared.work,
            seconds=row.median_s * scale,
            low=row.lower_s * scale,
            high=row.upper_s * scale,
            each=_each(row),
            part=_part(row),
            memory=row.peak_bytes,
            error=row.relative_error,
            floor=compared.floor_s,
            allowed=_allowed(reference.dtype, reference.relative_error) if reference else None,
            note=row.note,
        )


def of_asv(timings: Sequence[Timing], name: str, known: Mapping[str, Asked]) -> Iterator[Measure]:
    """Everyone on one shape of one of asv's results; all those times have one name of a shape."""
    shape = known.get(name)
    work = _work(timings[0].kernel, shape) if shape else None
    errors = {t.backend: t.error for t in timings}
    for t in timings:
        if t.seconds is None or not 0 < t.seconds < float("inf"):
            continue
        yield Measure(
            shape=name,
            about=_about(name, shape.inputs if shape else {}, work),
            family=_family(name, shape, "float32"),
            arguments=_arguments(shape),
            contender=t.backend,
            peer=False,
            work=work,
            seconds=t.seconds,
            low=t.low or t.seconds,
            high=t.high or t.seconds,
            error=t.error,
            allowed=_allowed("float32", errors.get("reference")),
        )


def _work(kernel: str, shape: Asked) -> float | None:
    """Operations of a claim's shape, which are on no record of asv."""
    if kernel not in KERNELS:
        return None
    try:
        counted = shapes.work(kernel, shape.inputs, shape.arguments, itemsize=4)
    except (LookupError, TypeError, ValueError):  # arguments of another time, or left out
        return None
    return counted.flops if counted else None


def _agrees(measured: Mapping[str, Sequence[int]], declared: Mapping[str, Sequence[int]]) -> bool:
    """Whether arrays are as declared; a part has less along the first axis."""
    return list(measured) == list(declared) and all(
        tuple(one[1:]) == tuple(other[1:]) and one[:1] <= other[:1]
        for one, other in zip(
            map(list, measured.values()), map(list, declared.values()), strict=True
        )
    )


def _family(name: str, shape: Asked | None, dtype: str) -> str:
    if shape is None:
        return name
    axes = [(argument, len(size)) for argument, size in shape.inputs.items()]
    modules = getattr(shape, "modules", {})
    made = sorted((argument, make.__qualname__) for argument, make in modules.items())
    source = name.partition(".")[0]
    return repr((source, axes, sorted(shape.arguments.items()), made, dtype))


def _arguments(shape: Asked | None) -> str:
    said = words.facts(shape.arguments) if shape else ""
    return said if len(said) < 60 else ""


def sizes_of(inputs: Mapping[str, Sequence[int]]) -> str:
    """The arrays of a shape in words."""
    times = "\N{MULTIPLICATION SIGN}"
    return ", ".join(f"{name} {times.join(map(str, size))}" for name, size in inputs.items())


def _about(name: str, inputs: Mapping[str, Sequence[int]], work: float | None) -> str:
    said = [part for part in (sizes_of(inputs), flops(work) if work else "") if part]
    return f"{name}: {'; '.join(said)}" if said else name


def _each(row: Row) -> str:
    return "" if row.item == "call" else f"{words.seconds(row.item_s)} for each {row.item}"


def _part(row: Row) -> str:
    if row.items >= row.items_of_shape:
        return ""
    return f"{row.items:,} of {row.items_of_shape:,} {row.item}s"


def _allowed(dtype: str, error: float | None) -> float | None:
    """What `kernels/checks.py` allows, as far as this one call of the reference tells."""
    if error is None or dtype != "float32" or not error < float("inf"):
        return None
    return 2 * error + checks.FLOOR * FLOAT32


def figures(
    kernel: str, where: str, measures: Iterable[Measure], hues: Mapping[str, int]
) -> list[Figure]:
    """All charts of one section, whose times compare; curves come first.

    Args:
        where: what the section is about: the machine, device and threads.
    """
    families: dict[str, list[Measure]] = {}
    for measure in measures:
        families.setdefault(measure.family, []).append(measure)
    drawn = (f for found in families.values() for f in _of_family(kernel, where, found, hues))
    return sorted(drawn, key=lambda figure: not isinstance(figure, Sizes))


def _of_family(
    kernel: str, where: str, found: Sequence[Measure], hues: Mapping[str, int]
) -> Iterator[Figure]:
    counted = [measure for measure in found if measure.work is not None]
    alone = found
    if _several(counted):
        yield _curves(kernel, where, counted, hues)
        alone = [measure for measure in found if measure.work is None]
    for shape in dict.fromkeys(measure.shape for measure in alone):
        own = sorted((m for m in found if m.shape == shape), key=lambda measure: measure.seconds)
        if len(own) > 1:
            yield _dots(kernel, where, own, hues)


def _several(found: Sequence[Measure]) -> bool:
    """Whether anybody has two sizes, so that there is a line to draw."""
    places = {(m.contender, m.work) for m in found}
    return len({contender for contender, _ in places}) < len(places)


def _curves(kernel: str, where: str, found: Sequence[Measure], hues: Mapping[str, int]) -> Sizes:
    arguments = f" Arguments: {found[0].arguments}." if found[0].arguments else ""
    return Sizes(
        title=f"{kernel} by size: {_label(found)}; {where}",
        note=_note(found) + arguments,
        hues=hues,
        x="work of the shape (FLOP)",
        quantities=tuple(
            quantity if len(quantity.line) > 1 else replace(quantity, line=())
            for quantity in _quantities(found)
        ),
    )


def _dots(kernel: str, where: str, found: Sequence[Measure], hues: Mapping[str, int]) -> Dots:
    return Dots(
        title=f"{kernel} on {found[0].about}; {where}",
        note=_note(found),
        hues=hues,
        order=tuple(dict.fromkeys(measure.contender for measure in found)),
        quantities=_quantities(found),
    )


def _label(found: Sequence[Measure]) -> str:
    """What the labels of a family are without their sizes, or all of them."""
    labels = list(dict.fromkeys(measure.shape.partition(".")[2] for measure in found))
    stems = {label.rstrip("_0123456789") for label in labels}
    return stems.pop() if len(stems) == 1 else ", ".join(labels)


def _quantities(found: Sequence[Measure]) -> tuple[Quantity, ...]:
    quantities = (_time(found), _memory(found), _error(found))
    return tuple(quantity for quantity in quantities if quantity)


def _note(found: Sequence[Measure]) -> str:
    """How to read it: only what is there."""
    parts = []
    if any(measure.peer for measure in found):
        parts.append("diamonds are peers")
    if any(measure.part for measure in found):
        parts.append("hollow marks were run on a part, and their times are scaled up")
    if any(measure.floor for measure in found):
        parts.append("the dashed line among times is the roofline's floor")
    if any(measure.allowed for measure in found):
        parts.append("the dashed line among errors is what a backend's may be")
    if exact := dict.fromkeys(m.contender for m in found if m.error == 0):
        parts.append(f"exact, so not drawn among the errors: {', '.join(exact)}")
    return "; ".join(["Medians with quartiles", *parts]) + "."


def _time(found: Sequence[Measure]) -> Quantity:
    marks = tuple(_mark(m, "Time", m.seconds, _took(m), (m.low, m.high)) for m in found)
    line = _line((m.work, m.floor) for m in found)
    return Quantity("time of the whole shape", "s", marks, line, "floor")


def _took(m: Measure) -> str:
    said = [words.seconds(m.seconds)]
    if m.low < m.high:
        said[0] += f" [{words.seconds(m.low)}, {words.seconds(m.high)}]"
    if m.each:
        said.append(m.each)
    if m.floor:
        said.append(f"{percent(m.floor / m.seconds)} of what the roofline allows")
    if m.part:
        said.append(f"scaled up from {m.part}")
    return ", ".join(said)


def _memory(found: Sequence[Measure]) -> Quantity | None:
    """Of the calls that were made: the memory of a part cannot be scaled up."""
    marks = []
    for m in found:
        if m.memory and m.memory > 0:
            ran = f" for {m.part}" if m.part else ""
            said = f"{memory(m.memory)}{ran}"
            marks.append(_mark(m, "Memory", m.memory, said))
    return Quantity("memory", "bytes", tuple(marks)) if marks else None


def _error(found: Sequence[Measure]) -> Quantity | None:
    marks = tuple(
        _mark(m, "Error", m.error, f"relative error {words.number(m.error, 2)}")
        for m in found
        if m.error is not None and 0 < m.error < float("inf")
    )
    line = _line((m.work, m.allowed) for m in found)
    return Quantity("relative error", "", marks, line, "allowed") if marks else None


def _mark(
    m: Measure, what: str, value: float, said: str, ends: tuple[float, float] | None = None
) -> Mark:
    low, high = ends or (value, value)
    remarks = [remark for remark in ("a peer" if m.peer else "", m.note) if remark]
    end = f" ({'; '.join(remarks)})" if remarks else ""
    return Mark(
        series=m.contender,
        x=m.work or 0.0,
        y=value,
        low=low,
        high=high,
        place=f"{what}, {m.about}",
        said=f"{m.contender}: {said}{end}",
        peer=m.peer,
        part=bool(m.part),
    )


def _line(
    points: Iterable[tuple[float | None, float | None]],
) -> tuple[tuple[float, float], ...]:
    return tuple(sorted({(x or 0.0, y) for x, y in points if y is not None}))
