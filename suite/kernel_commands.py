"""What the commands about kernels do. Each gives its exit code."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from claimbench.kernels import KERNELS, checks

from .answers import ALL_GOOD, INCONCLUSIVE, REFUTED, print_json, print_table
from .checking import load_claims
from .definitions import DefinitionError
from .registry import load_plugins, unknown
from .runner import resolve_device


def list_kernels(as_json: bool) -> int:
    claims = load_claims()
    users = {name: [c.id for c in claims if c.kernel == name] for name in KERNELS}
    rows: list[dict[str, Any]] = [
        {"kernel": name, "backends": list(kernel.backends), "claims": users[name]}
        for name, kernel in KERNELS.items()
    ]
    if as_json:
        print_json(rows)
        return ALL_GOOD
    table = Table("kernel", "backends", "claims", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["kernel"], ", ".join(row["backends"]), ", ".join(row["claims"]))
    Console().print(table)
    return ALL_GOOD


def named(kernels: Sequence[str]) -> list[str]:
    """The kernels asked for, or all of them, with the backends that plug-ins bring."""
    load_plugins()
    for name in kernels:
        if name not in KERNELS:
            raise DefinitionError(unknown("kernel", name, KERNELS))
    return list(kernels) or list(KERNELS)


def check_kernels(
    kernels: Sequence[str], backend: str | None, device: str, as_json: bool, seed: int | None = None
) -> int:
    """All that is asked of each kernel; a backend that refuses everything was not measured.

    Without a seed one is drawn, so that no backend knows it; labels of findings tell it.
    """
    chosen = named(kernels)
    seed = secrets.randbelow(10**6) if seed is None else seed
    findings = list(checks.check_all(chosen, backend, resolve_device(device), seed=seed))
    if as_json:
        print_json([asdict(finding) | {"seed": seed} for finding in findings])
    else:
        _print_findings(findings, seed)
    asked = {(f.kernel, f.backend) for f in findings if backend or f.backend != "reference"}
    ran = asked & {(f.kernel, f.backend) for f in findings if not f.refused}
    if any(finding.problem for finding in findings):
        return REFUTED
    if not ran or (backend and asked - ran):
        return INCONCLUSIVE
    return ALL_GOOD


def _print_findings(findings: Sequence[checks.Finding], seed: int) -> None:
    """A row for each backend, then a line for each that is wrong or did not run."""
    counted = "cases", "invariants", "refused", "wrong"
    table = Table("kernel", "backend", *counted, "error", "bound", box=None, pad_edge=False)
    remarks = []
    for kernel, backend in dict.fromkeys((f.kernel, f.backend) for f in findings):
        mine = [f for f in findings if (f.kernel, f.backend) == (kernel, backend)]
        ran = [f for f in mine if not f.refused]
        wrong = [f for f in ran if f.problem]
        kinds = Counter(f.kind for f in ran)
        counts = kinds["case"], kinds["invariant"], len(mine) - len(ran), len(wrong)
        table.add_row(kernel, backend, *map(str, counts), *_largest_error(ran))
        if wrong:
            first = wrong[0]
            remarks.append(f"{kernel} on {backend}: {first.case} in {first.dtype}: {first.problem}")
        elif not ran:
            remarks.append(f"{kernel} on {backend} did not run: {mine[0].refused}")
    print_table(table)
    print(*remarks, f"seed {seed}", sep="\n")


def _largest_error(ran: Sequence[checks.Finding]) -> tuple[str, str]:
    """The one that is largest for its bound, and that bound."""
    known = [(f.error, f.bound) for f in ran if f.error is not None and f.bound is not None]
    if not known:
        return "", ""
    error, bound = max(known, key=lambda pair: pair[0] / (pair[1] or 1))
    return f"{error:.1e}", f"{bound:.1e}"
