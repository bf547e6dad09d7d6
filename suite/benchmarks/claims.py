"""The smoke tier of the claims followed: error and seconds of methods, shortfall of rules.

asv has no direction: lower is better to it, so it is given errors and shortfalls. Every value comes
from a record, and the records go to the results folder, where report and gate find them by commit.
All benchmarks that share `setup_cache` run in one folder of asv's, which it deletes with the run:
what one of them has measured, the others find there.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean
from typing import Any

from .. import expected, provenance, records, runner
from ..cells import cells
from ..definitions import ASV_TIER, Claim, DefinitionError, digest
from ..devices import resolve_device
from ..project import root
from ..records import Record
from ..verdicts import judge


def _results() -> Path:
    """The results folder of the project that asv was started for."""
    return Path(os.environ.get("CLAIMBENCH_RESULTS", root() / "results"))


def measured(claim: Claim, method: str | None = None) -> list[Record]:
    """Records of a claim's cells at this commit, measured now where this run has not yet."""
    wanted = cells(claim, ASV_TIER, only=method)
    scratch = Path.cwd() / f"{claim.id}.jsonl"
    known = {r.cell: r for r in records.read(scratch.parent) if r.claim == claim.id}
    missing = [cell for cell in wanted if cell.digest not in known]
    settings = runner.Settings(resolve_device("auto"), fresh=True)
    past = [*records.baselines(), *records.read(_results())] if missing else []
    plan = runner.plan(missing, past, settings)
    made = [*plan.known, *plan.reused, *(record for _, record in runner.run(plan.todo, settings))]
    target = _results() / f"asv-{provenance.commit()[:12]}.jsonl"
    for record in made:
        records.append(record, scratch)
        if record not in plan.known:
            records.append(record, target)
    known |= {record.cell: record for record in made}
    return [known[cell.digest] for cell in wanted]


def _lead_values(claim: Claim, method: str) -> list[float]:
    found = measured(claim, method)
    if failed := [record for record in found if record.error]:
        raise RuntimeError(failed[0].error)
    return [score.metrics[claim.lead] for record in found for score in record.scores]


def setup_cache(self: Any) -> None:
    """asv makes a common folder for everything that shares this, though it gives back nothing."""
    return None


def _of_methods(claim: Claim) -> type:
    """What each method reaches, and how long it takes."""

    def track_error(self: Any, method: str) -> float:
        value = fmean(_lead_values(claim, method))
        return 1 - value if claim.metrics[claim.lead].direction == "higher" else value

    def track_seconds(self: Any, method: str) -> float:
        return sum(record.seconds for record in measured(claim, method))

    track_error.unit, track_seconds.unit = f"1 - {claim.lead}", "seconds"
    content = _digests(claim)
    functions = {"track_error": track_error, "track_seconds": track_seconds}
    return _class(claim, "", "method", list(claim.methods_of(ASV_TIER)), functions, content)


def _of_rules(claim: Claim) -> type:
    """How far each rule's effect is from its threshold, 0 where it is on the claim's side."""

    def track_shortfall(self: Any, rule: str) -> float:
        verdict = judge(claim, ASV_TIER, measured(claim))
        if rule not in verdict.findings:
            raise RuntimeError(verdict.reason)
        return max(0.0, -verdict.findings[rule].room)

    track_shortfall.unit = "shortfall"
    rules = claim.rules_of(ASV_TIER)
    content = _digests(claim)
    content += [digest(call.model_dump()) for call in rules.values()]
    functions = {"track_shortfall": track_shortfall}
    return _class(claim, "Rules", "rule", list(rules), functions, content)


def _digests(claim: Claim) -> list[str]:
    """Of all that is measured; of nothing where this commit lacks a method, as measuring will say.

    The class is there all the same: what shares `setup_cache` has one benchmark set it up for all.
    """
    try:
        return [cell.digest for cell in cells(claim, ASV_TIER)]
    except DefinitionError:
        return []


def _class(
    claim: Claim,
    suffix: str,
    parameter: str,
    labels: list[str],
    functions: dict[str, Any],
    content: list[str],
) -> type:
    for function in functions.values():
        function.claim = claim.id
        function.version = digest(content)  # results made under another definition do not compare
    facts = {
        "__doc__": claim.title,
        "__module__": __name__,
        "params": [labels],
        "param_names": [parameter],
        "timeout": 600,
        "setup_cache": setup_cache,
    }
    name = "".join(part.title() for part in claim.id.split("_")) + suffix
    return type(name, (), facts | functions)


for _claim in expected.claims():
    if ASV_TIER in _claim.tiers:
        for _made in (_of_methods(_claim), _of_rules(_claim)):
            globals()[_made.__name__] = _made
