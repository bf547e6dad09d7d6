"""From claims to records: what to run, what is known already, and the run itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from claimbench.kernels import NoBackend, backends_used, using

from . import provenance
from .cells import Cell
from .data import DataError, load
from .evaluation import Score, Trial
from .gram import Workplace, working
from .records import Measured, Provenance, Record
from .registry import MissingExtra, load_plugins
from .vocabulary import method, protocol
from .workers import Policy, Pool, WorkerLost, schedule

GRAMS = "grams"
"""Folder beside the records, of Gram matrices that took long."""

LOST = Policy(attempts=5)
"""A trial takes long, and what kills its worker so often is not chance."""


@dataclass(frozen=True)
class Settings:
    """How cells are run.

    Attributes:
        device: `cpu` or `cuda`.
        backend: the one that every kernel must run on; any that fits where `None`.
        fresh: measure also what an earlier record of the same code already tells.
        grams: folder for Gram matrices that take long; a temporary one where it is `None`.
    """

    device: str = "cpu"
    backend: str | None = None
    fresh: bool = False
    grams: Path | None = None


@dataclass
class Plan:
    """What a run will do.

    Attributes:
        known: records that serve as they are.
        reused: records of other commits that serve here too, to be marked so.
        todo: cells to run.
        estimates: seconds that each of `todo` took last time, or may take.
    """

    known: list[Record] = field(default_factory=list)
    reused: list[Record] = field(default_factory=list)
    todo: list[Cell] = field(default_factory=list)
    estimates: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(self.estimates[cell.digest] for cell in self.todo)


def plan(wanted: Sequence[Cell], past: Sequence[Record], settings: Settings) -> Plan:
    """Sort cells into those that a record answers and those that must be run.

    A record of the claim and the commit serves as it is. One of another commit, or of another claim
    that asks for the same, serves where nothing that could change the result differs: the code, or
    for a baseline only its libraries.

    Raises:
        MissingExtra: if something is not installed that a cell to be run needs.
        DataError: if a data set is not here.
    """
    made = Plan()
    by_cell: dict[str, list[Record]] = {}
    for record in past:
        by_cell.setdefault(record.cell, []).append(record)
    for cell in wanted:
        before = by_cell.get(cell.digest, [])
        serving = [record for record in before if _serves(record, cell, settings)]
        own = [record for record in serving if record.claim == cell.claim.id]
        here = [record for record in own if record.provenance.commit == provenance.commit()]
        if here:
            made.known.append(here[-1])
        elif serving:
            made.reused.append(_as_of(cell, (own or serving)[-1]))
        else:
            made.todo.append(cell)
            made.estimates[cell.digest] = _estimate(cell, before)
    _require_extras(made.todo)
    return made


def _serves(record: Record, cell: Cell, settings: Settings) -> bool:
    if record.error or record.data_digest != load(cell.data).digest:
        return False
    if cell.entry.baseline:
        needed = provenance.libraries(cell.entry.libraries)
        return all(_same(record.provenance.libraries.get(k), v) for k, v in needed.items())
    if settings.fresh or (settings.device == "cuda") != (record.provenance.device != "cpu"):
        return False
    if settings.backend and set(record.backends.values()) - {settings.backend}:
        return False
    made = record.provenance
    return made.code == code_of(cell) and made.machine == provenance.machine()


def _same(recorded: str | None, installed: str) -> bool:
    """Equal but for a build tag: 2.13.0+cpu computes what 2.13.0 does."""
    return recorded is not None and recorded.partition("+")[0] == installed.partition("+")[0]


def code_of(cell: Cell) -> str:
    return provenance.code(cell.entry.function, protocol[cell.protocol_call.name].function)


def _labels(cell: Cell) -> dict[str, Any]:
    """What a record says of the cell that it answers."""
    return {
        "claim": cell.claim.id,
        "tier": cell.tier,
        "method": cell.method,
        "protocol": cell.protocol,
        "data": cell.data,
        "trial": cell.trial,
        "cell": cell.digest,
    }


def _as_of(cell: Cell, record: Record) -> Record:
    """A copy that answers a cell at this commit, and says where it was really measured."""
    made = record.provenance
    return record.model_copy(
        update={
            **_labels(cell),
            "provenance": made.model_copy(update={"commit": provenance.commit()}),
            "reused_from": record.reused_from or made.commit,
        }
    )


def _estimate(cell: Cell, before: Sequence[Record]) -> float:
    """Seconds: of the last time this was run, else an even share of what the tier declares."""
    if before:
        return before[-1].seconds
    tier = cell.claim.tiers[cell.tier]
    calls = cell.claim.methods_of(cell.tier), cell.claim.protocols_of(cell.tier)
    return tier.seconds / (len(tier.data) * tier.trials * len(calls[0]) * len(calls[1]))


def _require_extras(todo: Sequence[Cell]) -> None:
    needs = {need: cell for cell in todo for need in cell.entry.needed(cell.method_call)}
    missing = {extra: cell for (module, extra), cell in needs.items() if find_spec(module) is None}
    if missing:
        extras = ",".join(sorted(missing))
        first = next(iter(missing.values()))
        raise MissingExtra(
            f"{first.claim.id} needs more than is installed (method {first.method_call.name!r}); "
            f"pip install 'claimbench[{extras}]'"
        )


def run(
    todo: Sequence[Cell],
    settings: Settings,
    pool: Pool | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Generator[tuple[Cell, Record], None, None]:
    """Run cells and give each record as it is made.

    Workers share out the trials. Where there are fewer trials than workers, methods that cut their
    work into tiles come last and one by one, and the workers share the tiles of each.

    Args:
        pool: the workers; this process, cell by cell, where it is left out.
        tell: is given the plans of Gram matrices that this process computes.

    Raises:
        PoolError: if the workers cannot do it.
    """
    pool = pool or Pool()
    last = _one_by_one(todo, pool)
    others = [cell for cell in todo if not any(cell is each for each in last)]
    groups = (list(group) for _, group in groupby(others, _trial_of))
    for _, records in schedule((TrialTask(g, settings, pool) for g in groups), pool, LOST):
        yield from records
    with working(Workplace(pool, settings.grams, tell)):
        for cell in last:
            yield cell, measure(cell, settings)


def _one_by_one(todo: Sequence[Cell], pool: Pool) -> list[Cell]:
    """Those that this process runs itself, all its workers busy with the tiles of one."""
    if pool.workers == 1 and not pool.remote:
        return list(todo)
    few = len({_trial_of(cell) for cell in todo}) < pool.workers
    return [cell for cell in todo if few and cell.entry.tiled]


def _trial_of(cell: Cell) -> tuple[str, str, str, int]:
    """Cells of one trial share its data and whatever a method remembers of it."""
    return cell.claim.id, cell.data, cell.protocol, cell.trial


Pairs = list[tuple[Cell, Record]]


@dataclass(frozen=True, eq=False)
class TrialTask:
    """Cells of one trial, for a worker."""

    cells: list[Cell]
    settings: Settings
    pool: Pool

    @property
    def call(self) -> tuple[Callable[..., Pairs], tuple[Any, ...]]:
        # Folders of this machine mean nothing on another one.
        settings = replace(self.settings, grams=None) if self.pool.remote else self.settings
        return _measure_all, (self.cells, settings)

    def check(self, answer: Pairs) -> None:
        """Another machine must run this code; then what it measured is of this commit."""
        if not self.pool.remote:
            return
        for place, (cell, record) in enumerate(answer):
            made = record.provenance
            if made.code != code_of(cell):
                raise WorkerLost(f"{made.machine['host']} runs other code than this", "")
            here = made.model_copy(update={"commit": provenance.commit()})
            answer[place] = cell, record.model_copy(update={"provenance": here})

    def parts(self) -> list[TrialTask]:
        return [replace(self, cells=[cell]) for cell in self.cells] if len(self.cells) > 1 else []

    def __str__(self) -> str:
        return str(self.cells[0])


def _measure_all(group: list[Cell], settings: Settings) -> Pairs:
    """In a worker process, which has registered nothing that plug-ins bring."""
    load_plugins()
    with working(Workplace(folder=settings.grams)):
        return [(cell, measure(cell, settings)) for cell in group]


def measure(cell: Cell, settings: Settings) -> Record:
    """Run one cell; a failure of the method is a record with its error, not a traceback."""
    data = load(cell.data)
    made_with = _provenance(cell, settings)
    with _clocks() as elapsed, backends_used() as backends, using(settings.backend):
        try:
            scores, error = _scores(cell, settings), ""
        except (DataError, MissingExtra, NoBackend):
            raise  # nothing is wrong with the method: the same would meet every cell after it
        except Exception as e:
            scores, error = (), f"{type(e).__name__}: {e}"
    return Record(
        **_labels(cell),
        data_name=data.name,
        data_digest=data.digest,
        scores=scores,
        seconds=elapsed[0],
        cpu_seconds=elapsed[1],
        backends=backends,
        baseline=cell.entry.baseline,
        error=error,
        provenance=made_with,
    )


@contextmanager
def _clocks() -> Iterator[list[float]]:
    """Wall and processor seconds of the block, known once it is left."""
    elapsed: list[float] = []
    wall, processor = time.perf_counter(), time.process_time()
    yield elapsed
    elapsed += [time.perf_counter() - wall, time.process_time() - processor]


def _scores(cell: Cell, settings: Settings) -> tuple[Measured, ...]:
    data = load(cell.data)
    parts = protocol.run(cell.protocol_call, data, cell.trial)
    trial = Trial(data, parts, seed=cell.trial, device=settings.device)
    scores = list(method.run(cell.method_call, trial))
    _check_complete(cell, scores)
    return tuple(Measured(**vars(score)) for score in scores)


def _check_complete(cell: Cell, scores: Sequence[Score]) -> None:
    """A method must answer at every point that the definition expects, and at no other."""
    given = [(score.at, score.variant) for score in scores]
    missing = [point for point in cell.points if point not in given]
    if missing or len(given) != len(cell.points):
        raise ValueError(
            f"method {cell.method_call.name!r} gave {len(given)} scores where "
            f"{len(cell.points)} are expected; first missing: {missing[:1]}"
        )


def _provenance(cell: Cell, settings: Settings) -> Provenance:
    return Provenance(
        commit=provenance.commit(),
        code=code_of(cell),
        started=provenance.now(),
        machine=provenance.machine(),
        device=provenance.device_name(settings.device),
        threads=provenance.threads(),
        load=round(os.getloadavg()[0], 2),
        libraries=provenance.libraries(),
    )
