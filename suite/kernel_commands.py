"""What the commands about kernels do. Each gives its exit code."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from claimbench.kernels import KERNELS, checks

from .answers import (
    ALL_GOOD,
    INCONCLUSIVE,
    INFRASTRUCTURE,
    REFUTED,
    print_json,
    print_table,
)
from .checking import load_claims
from .definitions import DefinitionError
from .devices import resolve_device
from .isolated_checks import ENDED, Check, check_isolated
from .isolation import Limits
from .registry import load_plugins, unknown


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
    kernels: Sequence[str],
    backend: str | None,
    device: str,
    as_json: bool,
    seed: int | None = None,
    limits: tuple[float, float] | None = None,
) -> int:
    """All that is asked of each kernel; a backend that refuses everything was not measured.

    Without a seed one is drawn, so that no backend knows it; labels of findings tell it. With
    limits, of seconds and GiB, each backend runs in a process that is held to them.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    device = resolve_device(device)
    if limits is None:
        findings = list(checks.check_all(named(kernels), backend, device, seed=seed))
    else:
        findings = list(_isolated(kernels, backend, device, seed, Limits(*limits)))
    if as_json:
        print_json([asdict(finding) | {"seed": seed} for finding in findings])
    else:
        _print_findings(findings, seed)
    asked = {(f.kernel, f.backend) for f in findings if backend or f.backend != "reference"}
    ran = asked & {(f.kernel, f.backend) for f in findings if not f.refused}
    faults = {finding.fault for finding in findings if finding.problem}
    if faults - {ENDED}:
        return REFUTED
    if faults:
        return INFRASTRUCTURE
    if not ran or (backend and asked - ran):
        return INCONCLUSIVE
    return ALL_GOOD


def _isolated(
    kernels: Sequence[str], backend: str | None, device: str, seed: int, limits: Limits
) -> Iterator[checks.Finding]:
    """What this system or device cannot grant is told once, beside the answer."""
    told = set()

    def tell(text: str) -> None:
        if text not in told:
            print(f"claimbench: {text}", file=sys.stderr)
        told.add(text)

    if device == "cuda":
        tell("CUDA reserves more address space than there is memory: --memory does not hold here")
        limits = replace(limits, memory_gib=None)
    return check_isolated(kernels, backend, Check(device, seed, limits, tell))


def _print_findings(findings: Sequence[checks.Finding], seed: int) -> None:
    """A row for each backend, then a line for each that is wrong or did not run."""
    counted = "cases", "invariants", "refused", "wrong"
    table = Table("kernel", "backend", *counted, "error", "bound", box=None, pad_edge=False)
    remarks = []
    for kernel, backend in dict.fromkeys((f.kernel, f.backend) for f in findings):
        mine = [f for f in findings if (f.kernel, f.backend) == (kernel, backend)]
        ended = [f for f in mine if f.fault == ENDED]
        ran = [f for f in mine if not f.refused and f not in ended]
        wrong = [f for f in ran if f.problem]
        kinds = Counter(f.kind for f in ran)
        refused = sum(bool(f.refused) for f in mine)
        counts = kinds["case"], kinds["invariant"], refused, len(wrong)
        table.add_row(kernel, backend, *map(str, counts), *_largest_error(ran))
        if wrong:
            first = wrong[0]
            remarks.append(f"{kernel} on {backend}: {first.case} in {first.dtype}: {first.problem}")
        elif not ran and refused:
            remarks.append(f"{kernel} on {backend} did not run: {mine[0].refused}")
        if ended:
            remarks.append(f"{kernel} on {backend} was not checked to its end: {ended[0].problem}")
    print_table(table)
    print(*remarks, f"seed {seed}", sep="\n")


def _largest_error(ran: Sequence[checks.Finding]) -> tuple[str, str]:
    """The one that is largest for its bound, and that bound."""
    known = [(f.error, f.bound) for f in ran if f.error is not None and f.bound is not None]
    if not known:
        return "", ""
    error, bound = max(known, key=lambda pair: pair[0] / (pair[1] or 1))
    return f"{error:.1e}", f"{bound:.1e}"
