"""Verdicts as a Markdown table: `python -m claimbench.reports.verdict_table FOLDER [TIER]`.

Without a tier each claim stands at its largest one that is measured, as in the report.
Nothing in the README's table is entered by hand: it is remade from the records of the folder and
the baselines that come with the suite, and a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from claimbench.suite import records as record_files
from claimbench.suite.checking import load_claims
from claimbench.suite.definitions import Claim, TierName, tier_names
from claimbench.suite.records import Record
from claimbench.suite.rules import Outcome
from claimbench.suite.verdicts import Verdict, judge

from . import published, words


def table(claims: Sequence[Claim], tier: TierName | None, records: Sequence[Record]) -> str:
    """One row for each rule of each claim, and under the table where it was measured."""
    lines = [
        "| claim | asked | published | measured [95% interval] | verdict |",
        "|---|---|---|---|---|",
    ]
    wanted = [c for c in claims if tier is None or tier in c.tiers]
    verdicts = [judge(c, tier, records) if tier else _best(c, records) for c in wanted]
    lines += [line for verdict in verdicts for line in _rows(verdict)]
    return "\n".join([*lines, "", *_provenance(verdicts)]) + "\n"


def _best(claim: Claim, records: Sequence[Record]) -> Verdict:
    """At the largest tier that is measured, else at the smallest there is."""
    smallest, *larger = (judge(claim, tier, records) for tier in tier_names(claim))
    measured = [v for v in larger if v.outcome != Outcome.NOT_MEASURED]
    return measured[-1] if measured else smallest


def _rows(verdict: Verdict) -> Iterator[str]:
    claim = verdict.claim
    title = f"**{claim.title}** ({verdict.tier})"
    yield f"| {title} | | | {verdict.reason} | **{verdict.outcome}** |"
    for label, finding in verdict.findings.items():
        call = claim.rules_of(verdict.tier)[label]
        paper = "; ".join(published.beside(claim, call))
        measured = (
            f"{words.effect(finding.effect, finding.unit)} "
            f"{words.interval(*finding.interval, finding.n, finding.unit)}, "
            f"{finding.n} {finding.over}"
        )
        yield f"| | {label} | {paper} | {measured} | {finding.outcome} |"


def _provenance(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What a figure must say of itself: tier, data, commit, machine."""
    for verdict in verdicts:
        if verdict.evidence is None:
            continue
        made = [row.record for row in verdict.evidence.rows if not row.record.baseline]
        commits = sorted({record.provenance.commit[:7] for record in made})
        machines = sorted({str(record.provenance.machine["processor"]) for record in made})
        cores = sorted({str(record.provenance.machine["cores"]) for record in made})
        devices = sorted({record.provenance.device for record in made})
        data = verdict.data if len(verdict.data) <= 3 else [f"{len(verdict.data)} data sets"]
        stand_in = verdict.claim.tiers[verdict.tier].stand_in
        yield (
            f"`{verdict.claim.id}`: tier {verdict.tier} on {', '.join(data)}"
            f"{f' ({stand_in})' if stand_in else ''}, commit {', '.join(commits)}, "
            f"{', '.join(machines)}, {', '.join(cores)} cores, on the {', '.join(devices)}.  "
        )


def main(folder: str, tier: TierName | None = None) -> None:
    records = [*record_files.baselines(), *record_files.read(Path(folder))]
    print(table(load_claims(), tier, records), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
