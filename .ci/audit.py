"""Is anything that CI installs known to be vulnerable? Asks pip-audit, and holds it to an answer.

pip-audit passes over what its service does not know, and ends well where it has passed over all:
behind a mirror without advisories that would look like a clean bill. Exit codes: 0 nothing is
known, 1 something is, 4 there was no answer for everything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

GOOD, VULNERABLE, NO_ANSWER = 0, 1, 4
ROOT = Path(__file__).parents[1]
LISTS = [*sorted(ROOT.glob("locks/*.txt")), ROOT / "constraints.txt"]
SHOWN = 5


def main() -> int:
    """Audit each list by itself: where one name has a hash, pip-audit wants one for all."""
    answers = [_asked(path) for path in LISTS]
    code, text = judged(answers)
    print(text)
    return code


def _asked(path: Path) -> str:
    """What pip-audit says of a list as it is: nothing is resolved, and nothing is installed."""
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *options, "--requirement", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or done.stderr


def judged(answers: list[str]) -> tuple[int, str]:
    """Exit code and words for what pip-audit has said, one text for each list."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    lines = []
    for answer in answers:
        try:
            listed = json.loads(answer)["dependencies"]
        except (ValueError, KeyError, TypeError):
            last = (answer.strip().splitlines() or ["it said nothing"])[-1]
            lines.append(f"no answer: pip-audit failed, or did not reach its service: {last}")
        else:
            found |= {(d["name"], d.get("version", "")): d for d in listed}
    passed_over = sorted({name for (name, _), d in found.items() if "vulns" not in d})
    if passed_over:
        some = ", ".join(passed_over[:SHOWN]) + (", ..." if len(passed_over) > SHOWN else "")
        lines.append(f"no answer for {len(passed_over)} of {len(found)} packages: {some}")
    known = [
        f"{name} {version}: {one['id']}, {_mended(one)}"
        for (name, version), d in found.items()
        for one in d.get("vulns", [])
    ]
    if known or lines:
        return VULNERABLE if known else NO_ANSWER, "\n".join(known + lines)
    return GOOD, f"nothing is known against {len(found)} packages"


def _mended(vulnerability: dict[str, Any]) -> str:
    versions = ", ".join(vulnerability["fix_versions"])
    return f"mended in {versions}" if versions else "not mended yet"


if __name__ == "__main__":
    sys.exit(main())
