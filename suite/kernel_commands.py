"""What the commands about kernels do. Each gives its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from claimbench.kernels import KERNELS, checks

from .answers import ALL_GOOD, INCONCLUSIVE, REFUTED, print_json
from .checking import load_claims
from .definitions import DefinitionError
from .registry import unknown
from .runner import resolve_device


def list_kernels(as_json: bool) -> int:
    users = {name: [c.id for c in load_claims() if c.kernel == name] for name in KERNELS}
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
    for name in kernels:
        if name not in KERNELS:
            raise DefinitionError(unknown("kernel", name, KERNELS))
    return list(kernels) or list(KERNELS)


def check_kernels(kernels: Sequence[str], backend: str | None, device: str, as_json: bool) -> int:
    """Every case of each kernel; a backend that refuses everything was not measured."""
    chosen = named(kernels)
    findings = list(checks.check_all(chosen, backend, resolve_device(device)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print_findings(findings)
    ran = {(f.kernel, f.backend) for f in findings if not f.refused}
    asked = {(f.kernel, f.backend) for f in findings}
    if any(finding.problem for finding in findings):
        return REFUTED
    if not ran or (backend and asked - ran):
        return INCONCLUSIVE
    return ALL_GOOD


def _print_findings(findings: Sequence[checks.Finding]) -> None:
    table = Table("kernel", "backend", "cases", "wrong", "largest error", "", box=None)
    pairs = dict.fromkeys((f.kernel, f.backend) for f in findings)
    for kernel, backend in pairs:
        mine = [f for f in findings if (f.kernel, f.backend) == (kernel, backend)]
        ran = [f for f in mine if not f.refused]
        wrong = [f for f in ran if f.problem]
        errors = [f.error for f in ran if f.error is not None]
        largest = f"{max(errors):.1e}" if errors else ""
        remark = wrong[0].case + ": " + wrong[0].problem if wrong else ""
        if not ran:
            remark = f"not run: {mine[0].refused}"
        table.add_row(kernel, backend, str(len(ran)), str(len(wrong)), largest, remark)
    Console().print(table, highlight=False)
