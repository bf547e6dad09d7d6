"""What a claim is, and how it is read from its file. Imports no array library.

A claim file is TOML. A *call* in it is a table named after a registered function, with its keyword
arguments: `[methods.ntk_svm.kernel_svm]` is the method `kernel_svm` under the label `ntk_svm`.
Nothing in a file is imported, evaluated or executed.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from . import plain

Scalar = str | int | float | bool
TierName = Literal["smoke", "quick", "full"]
TIERS: tuple[TierName, ...] = ("smoke", "quick", "full")
ASV_TIER: TierName = "smoke"
"""The tier whose claims and shapes asv runs, and the gate measures."""

Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
"""A name of something in a claim file: asv and file names take it as it is."""


class DefinitionError(ValueError):
    """Claim files do not say what claims must say; one line for each thing that is wrong."""


class Definition(BaseModel):
    """A part of a claim file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class Call(Definition):
    """A registered function and its keyword arguments."""

    name: str
    arguments: dict[str, Any]


def _call(table: Any) -> Any:
    if isinstance(table, Call):
        return table
    if not isinstance(table, dict) or len(table) != 1 or not _is_table(*table.values()):
        raise ValueError("wants one table, named after a registered function")
    [(name, arguments)] = table.items()
    return {"name": name, "arguments": arguments}


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


CallTable = Annotated[Call, BeforeValidator(_call)]


class Source(Definition):
    """Where the claim is published."""

    paper: str
    """Title of the paper."""
    authors: str
    identifier: str
    """An arXiv id or a DOI."""
    url: str = Field(pattern=r"^https?://")
    locator: str
    """Table and row, figure, or section."""
    statement: str
    """What the paper says; in its own words where it could be read, else `paraphrase` is true."""
    paraphrase: bool = False
    data: tuple[str, ...]
    """The data sets that the paper used, by our names where we have them, or a collection such as
    `uci`; a tier with others must say `stand_in`."""


Basis = Literal["paper", "quoted", "reproduced", "memory_high", "memory_medium", "memory_low"]
"""How a number came here: read in the paper, read in another text that quotes it, measured by us
with the authors' protocol, or recalled and still to be checked."""


class OverData(Definition):
    """How a method of the paper does over all its data sets, beside the mean."""

    friedman_rank: float
    """Mean rank among all classifiers of the paper."""
    p90: float
    """Share of data sets on which it exceeds 90% of the best classifier's value."""
    p95: float
    pma: float
    """Mean share of the best classifier's value."""
    pma_std: float
    basis: Basis


class Published(Definition):
    """One number of the paper, in the unit of its metric."""

    method: str
    """The row: a label of `methods` where we measure it too, or the paper's own name for it."""
    metric: Label
    value: float
    spread: float | None = None
    """What the paper puts behind +-; its standard deviation."""
    at: dict[str, Scalar] = {}
    """Where in the table: number of samples, depth, window, data set."""
    basis: Basis
    over_data: OverData | None = None


class Metric(Definition):
    direction: Literal["higher", "lower"]
    """Which way is better."""
    unit: str
    tolerance: float = Field(ge=0)
    """A change smaller than this is no news to the gate; in `unit`."""
    about: str = ""


class Tier(Definition):
    """How much of the claim is run."""

    data: tuple[str, ...] = Field(min_length=1)
    protocols: tuple[Label, ...] = Field(min_length=1)
    methods: tuple[Label, ...] | None = None
    """Labels of the methods that run; all of them where left out."""
    only: dict[Label, tuple[Label, ...]] = {}
    """Protocols that a method runs under, by its label; all of the tier's where left out."""
    rules: tuple[Label, ...] | None = None
    """Labels of the rules that decide; all of them where left out."""
    trials: int = Field(ge=1)
    """How often every method is run, each time on a split of its own."""
    seconds: float = Field(gt=0)
    """About how long it takes on 2 cores without a GPU, baselines already on record."""
    stand_in: str = ""
    """What stands in for the paper's data, in words; required where it does."""
    set: dict[Label, dict[str, Any]] = {}
    """Arguments that this tier replaces, by label of method, protocol or rule."""


class Shape(Definition):
    """Inputs of the claim's kernel as a tier really uses them; `kernels bench` and asv run them."""

    tier: TierName
    inputs: dict[str, tuple[Annotated[int, Field(ge=1)], ...]] = Field(min_length=1)
    """Shape of each array argument, in the kernel's order."""
    arguments: dict[str, Any] = {}
    tolerance: float = Field(default=0.05, gt=0)
    """A slow-down of the kernel up to this, as a share of its time, is no news to the gate."""


class Claim(Definition):
    """A published statement, what is run to test it, and the rules that decide it."""

    id: Label
    """Name of the file without its suffix."""
    title: str
    """The claim in one sentence, as we test it."""
    tags: tuple[str, ...] = ()
    kernel: str
    """The kernel whose speed and correctness this claim stands on."""
    notes: str = ""
    """What differs from the paper's set-up, and why."""
    source: Source
    published: tuple[Published, ...] = ()
    metrics: dict[Label, Metric] = Field(min_length=1)
    """The first is the one that tables lead with."""
    protocols: dict[Label, CallTable] = Field(min_length=1)
    methods: dict[Label, CallTable] = Field(min_length=1)
    """What is compared, by the label that records and rules use."""
    rules: dict[Label, CallTable] = Field(min_length=1)
    """All must be supported for the claim to be; one refuted refutes it."""
    tiers: dict[TierName, Tier] = Field(min_length=1)
    shapes: dict[Label, Shape] = {}

    @property
    def lead(self) -> str:
        """Name of the metric that tables lead with."""
        return next(iter(self.metrics))

    def methods_of(self, tier: TierName) -> dict[str, Call]:
        return self._calls(tier, self.methods, self.tiers[tier].methods)

    def protocols_of(self, tier: TierName) -> dict[str, Call]:
        return self._calls(tier, self.protocols, self.tiers[tier].protocols)

    def rules_of(self, tier: TierName) -> dict[str, Call]:
        return self._calls(tier, self.rules, self.tiers[tier].rules)

    def _calls(
        self, tier: TierName, calls: dict[str, Call], labels: tuple[str, ...] | None
    ) -> dict[str, Call]:
        """Calls by label, with the arguments that the tier replaces."""
        replaced = self.tiers[tier].set
        return {
            label: Call(
                name=calls[label].name,
                arguments=calls[label].arguments | replaced.get(label, {}),
            )
            for label in labels or calls
        }


def digest(content: Any) -> str:
    """SHA-256 of anything JSON can say, in one canonical form."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def claim_files() -> list[Traversable]:
    """The suite's own claim files, in order of id."""
    folder = files(__package__) / "claims"
    found = [path for path in folder.iterdir() if path.name.endswith(".toml")]
    return sorted(found, key=lambda path: path.name)


def parse(path: Traversable) -> dict[str, Any]:
    """The tables of a claim file, not yet checked."""
    return parsed(content(path))


def content(path: Traversable) -> bytes:
    """The bytes of a claim file, not yet looked at.

    Raises:
        DefinitionError: if they cannot be had, or are more than a claim file has.
    """
    try:
        return plain.content(path)
    except OSError as e:
        raise DefinitionError(f"cannot be read: {e.strerror or e}") from e
    except ValueError as e:
        raise DefinitionError(str(e)) from e


def parsed(content: bytes) -> dict[str, Any]:
    """The tables that the bytes of a claim file hold, not yet checked.

    Raises:
        DefinitionError: if they are not TOML, or deeper in each other than a claim's.
    """
    try:
        tables = tomllib.loads(content.decode())
    except ValueError as e:  # a number of thousands of digits raises no more than that
        raise DefinitionError(f"not valid TOML: {plain.shown(str(e), 200)}") from e
    except RecursionError:
        tables = None
    if tables is None or plain.too_deep(tables):
        raise DefinitionError(f"tables and arrays lie more than {plain.DEEPEST} deep in each other")
    return tables


Problem = tuple[tuple[str | int, ...], str]
"""Where in a file (keys from the top), and what is wrong there."""


def build(path: Traversable, tables: dict[str, Any]) -> Claim | list[Problem]:
    """The claim that the tables of a file define, or all that is wrong with their form."""
    if "id" in tables:
        return [(("id",), "unknown key; a claim is called as its file is")]
    try:
        return Claim.model_validate(tables | {"id": path.name.removesuffix(".toml")})
    except ValidationError as e:
        found = e.errors(include_url=False, include_context=False, include_input=False)
        return [_problem(error) for error in found]


def _problem(error: Any) -> Problem:
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "unknown key"
    elif error["type"] == "missing":
        message = "missing"
    return tuple(part for part in error["loc"] if part != "[key]"), message


def schema() -> dict[str, Any]:
    """JSON Schema of a claim file, for editors and validators."""
    described = Claim.model_json_schema()
    del described["properties"]["id"]
    described["required"].remove("id")
    call = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"type": "object"},
        "description": "One table, named after a registered function, with its arguments.",
    }
    described["$defs"]["Call"] = call
    return described


def tier_names(claim: Claim) -> Iterator[TierName]:
    """The tiers that a claim has, from the smallest."""
    return (name for name in TIERS if name in claim.tiers)
