"""Commands about data sets: list, fetch, verify. Each gives its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from . import data as data_sets
from .answers import ALL_GOOD, INFRASTRUCTURE, print_json, print_table
from .checking import followed_claims
from .definitions import TIERS, DefinitionError
from .registry import load_plugins


def use_mirror(folder: Path | None) -> None:
    if folder is not None:
        os.environ["CLAIMBENCH_DATA"] = str(folder)


def data_list(folder: Path | None, as_json: bool) -> int:
    use_mirror(folder)
    rows = data_sets.rows()
    if as_json:
        print_json([vars(row) for row in rows])
        return ALL_GOOD
    table = Table(box=None, pad_edge=False)
    for heading in ("data set", "samples", "where", "licence"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.name, str(row.samples or ""), row.where, row.licence)
    print_table(table)
    return ALL_GOOD


def data_fetch(names: Sequence[str]) -> int:
    """Download what is not here, then look at all of it: what was here may have been altered."""
    members = [member for name in names for member in _members(name)]
    data_sets.fetch(members)
    return data_verify(members, folder=None, as_json=False)


def _members(name: str) -> list[str]:
    """The data sets of a collection such as `uci`, of a tier, of `all`, or the one of that name."""
    if name in TIERS:
        tiers = [claim.tiers[name] for claim in followed_claims() if name in claim.tiers]
        if not tiers:
            raise DefinitionError(f"no claim that is followed here has a tier {name!r}")
        return [data for tier in tiers for data in tier.data]
    load_plugins()
    known = list(data_sets.DATASETS)
    inside = [other for other in known if name == "all" or other.startswith(f"{name}/")]
    return inside or [name]


def data_verify(names: Sequence[str], folder: Path | None, as_json: bool) -> int:
    use_mirror(folder)
    rows = data_sets.verify(list(names))
    if as_json:
        print_json([vars(row) for row in rows])
    bad = [row for row in rows if row.state != "ok"]
    if not as_json:
        for row in bad:
            print(f"{row.data_set}: {row.path}: {row.state}; {row.detail}", file=sys.stderr)
        print(f"{len(rows)} files, {len(bad)} missing or altered")
    return INFRASTRUCTURE if bad else ALL_GOOD
