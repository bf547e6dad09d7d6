"""Machines: where records and times say that they were made, brought together.

Two places are one machine where all that says what the hardware is agrees: a host that came back
with another processor is another machine. Versions of Python and of libraries do not make a
machine, so one may have had several of them. asv describes a machine in fewer words of its own;
its times count for the machine of our records that they fit, if they fit one only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from claimbench.suite.definitions import digest
from claimbench.suite.records import Archived, Origin, Record, origins

from . import words
from .asv_results import Timing
from .rounds import Rounds

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord

SOFTWARE = "python"
"""What `provenance.machine` holds besides hardware."""

OF_ASV = {"machine": "host", "cpu": "processor", "num_cpu": "threads"}
"""What asv calls a field, and what we do."""

Facts = tuple[tuple[str, str], ...]
Sort = Literal["records", "baselines", "times in turns", "times beside peers", "times by asv"]
SORTS: tuple[Sort, ...] = (
    "records", "times by asv", "times in turns", "times beside peers", "baselines",
)  # fmt: skip


class Place(NamedTuple):
    """What one source says of where something was measured."""

    sort: Sort
    commit: str
    hardware: Facts
    device: str = ""
    facts: Facts = ()
    libraries: Facts = ()


@dataclass
class Sightings:
    """How often a place was seen, and when."""

    count: int = 0
    dates: list[str] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    def add(self, count: int, date: str, *loads: float) -> None:
        """Only the ends of what was seen are kept: there may be a hundred thousand records."""
        self.count += count
        self.dates = _ends([*self.dates, date] if date else self.dates)
        self.loads = _ends([*self.loads, *loads])


def _ends(values: list[Any]) -> list[Any]:
    return [min(values), max(values)] if values else []


Seen = dict[Place, Sightings]


def sightings(
    records: Archived | Iterable[Record],
    timings: Iterable[Timing],
    benches: Iterable[BenchRecord] = (),
    turns: Iterable[Rounds] = (),
    kept: Iterable[Record] = (),
) -> Seen:
    """Every place at which something was measured; `kept` are baselines that come with a suite."""
    seen: Seen = defaultdict(Sightings)
    of_sort: dict[Sort, list[Origin]] = {"records": origins(records), "baselines": origins(kept)}
    for sort, found in of_sort.items():
        for origin in found:
            made = origin.provenance
            place = _ours(sort, made.commit, made.machine, made)
            for started in origin.started:
                seen[place].add(0, started[:10], *origin.load)
            seen[place].count += origin.count
    for rounds in turns:
        for commit in (rounds.base, rounds.head):
            place = _ours("times in turns", commit, rounds.machine, rounds)
            seen[place].add(len(rounds.first), rounds.started[:10], *rounds.load)
    for bench in benches:
        place = _ours("times beside peers", bench.commit, bench.machine, bench)
        seen[place].add(len(bench.rows), bench.started[:10], *bench.load)
    for timing in timings:
        committed = timing.committed.date().isoformat() if timing.committed else ""
        seen[_of_asv(timing)].add(1, committed)
    return seen


def _ours(sort: Sort, commit: str, machine: Mapping[str, Any], made: Any) -> Place:
    """A place as our own records describe it; all of them have device, threads and libraries."""
    hardware = tuple((k, str(v)) for k, v in sorted(machine.items()) if k != SOFTWARE)
    software = [(SOFTWARE, str(machine[SOFTWARE]))] if SOFTWARE in machine else []
    facts = (*software, ("device", made.device), ("numeric threads", str(made.threads)))
    return Place(sort, commit, hardware, made.device, facts, tuple(made.libraries.items()))


def _of_asv(timing: Timing) -> Place:
    said = {"machine": timing.machine, **timing.hardware}
    hardware = tuple((OF_ASV[k], str(v)) for k, v in said.items() if k in OF_ASV)
    rest = [(f"{k} (asv)", str(v)) for k, v in said.items() if k not in OF_ASV]
    # asv names an environment by what is installed in it.
    installed = (("environment (asv)", timing.environment),)
    return Place("times by asv", timing.commit, tuple(sorted(hardware)), "", tuple(rest), installed)


@dataclass(frozen=True)
class Machine:
    """A machine, and what came from it.

    Attributes:
        id: what a link to it ends with; it hangs on the hardware alone.
        name: the host, numbered where several machines have had that name.
        facts: every value that was seen of each field, hardware first.
        libraries: every version that was seen of each.
        loads: the least and the greatest load average that was seen, where any was.
        dates: first and last day, where any is known; for asv's times, of the commits.
    """

    id: str
    name: str
    facts: Mapping[str, tuple[str, ...]]
    libraries: Mapping[str, tuple[str, ...]]
    counts: Mapping[Sort, int]
    loads: tuple[float, ...]
    dates: tuple[str, ...]
    commits: frozenset[str]


def machines(seen: Seen) -> list[Machine]:
    """The machines, the one that was used last first."""
    groups: dict[tuple[Facts, str], Seen] = defaultdict(dict)
    several = _several(seen)
    known = {place.hardware for place in seen if place.sort != "times by asv"}
    for place, sighted in seen.items():
        hardware = place.hardware
        if place.sort == "times by asv":
            hardware = _fitting(hardware, known)
        groups[hardware, place.device if hardware in several else ""][place] = sighted
    # By the day on which it was first seen, so that a machine that is new takes no other's number.
    ordered = sorted(groups.items(), key=lambda group: (_dates(group[1])[:1], group[0]))
    hosts = Counter(_host(hardware) for (hardware, _), _ in ordered)
    number: Counter[str] = Counter()
    found = []
    for (hardware, device), places in ordered:
        host = _host(hardware)
        number[host] += 1
        name = f"{host} ({number[host]})" if hosts[host] > 1 else host
        found.append(_machine(hardware, device, name, places))
    return sorted(found, key=lambda machine: machine.dates[-1:], reverse=True)


def _several(seen: Iterable[Place]) -> set[Facts]:
    """Hardware that was seen with several GPUs: which one a host had makes another machine."""
    devices: dict[Facts, set[str]] = defaultdict(set)
    for place in seen:
        devices[place.hardware].add(place.device)
    return {hardware for hardware, found in devices.items() if len(found - {"cpu", ""}) > 1}


def _fitting(hardware: Facts, known: set[Facts]) -> Facts:
    """The one of our own machines that agrees with all that asv says of its own."""
    fits = [ours for ours in known if set(hardware) <= set(ours)]
    return fits[0] if len(fits) == 1 else hardware


def _host(hardware: Facts) -> str:
    return dict(hardware).get("host") or dict(hardware).get("processor") or "a machine of no name"


def _dates(places: Seen) -> list[str]:
    return _ends([date for sighted in places.values() for date in sighted.dates])


def _machine(hardware: Facts, device: str, name: str, places: Seen) -> Machine:
    counts: Counter[Sort] = Counter()
    for place, sighted in places.items():
        counts[place.sort] += sighted.count
    loads = _ends([load for sighted in places.values() for load in sighted.loads])
    facts = [(key, value) for place in places for key, value in place.facts]
    return Machine(
        id=f"machine-{words.slug(_host(hardware))}-{digest([hardware, device])[:8]}",
        name=name,
        facts=_gathered([*hardware, *facts]),
        libraries=_gathered(fact for place in places for fact in place.libraries),
        counts=counts,
        loads=tuple(loads),
        dates=tuple(dict.fromkeys(_dates(places))),
        commits=frozenset(place.commit for place in places),
    )


def _gathered(facts: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Every value of each name, in the order of names' first mention."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, value in facts:
        found[name].add(value)
    return {name: tuple(sorted(values)) for name, values in found.items()}
