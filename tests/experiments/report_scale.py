"""How long the report of a long history takes, and how much memory.

    python -m tests.experiments.report_scale docs/measured/report-scale.json [COMMITS [CLAIMS]]

Records and asv's files are made up in their real formats: of 1,000 commits, 50 claims and two
machines unless said otherwise, every value of them new at every commit. The report is built in a
process of its own; memory is the greatest sum over it and its workers of what each has to itself
plus its share of what they share (PSS), looked at twice a second, and so is processor time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from claimbench.suite import provenance

from ..reports import large


def main(target: str, commits: str = "1000", claims: str = "50") -> None:
    with TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "html"
        large.write(folder, int(commits), int(claims))
        content = {
            "schema_version": 1,
            "experiment": "report of a long history",
            "commit": provenance.commit(),
            "started": provenance.now(),
            "machine": provenance.machine(),
            "load": os.getloadavg()[0],
            "commits": int(commits),
            "claims": int(claims),
            "read": {part: _size(folder / part) for part in ("results", "asv")},
            **_watched([sys.executable, "-m", __spec__.name, "--build", name, str(out), claims]),
            "written": _size(out),
            "pages": len(list(out.rglob("*.html"))),
            "largest_page_bytes": max(path.stat().st_size for path in out.rglob("*.html")),
        }
    Path(target).write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


def _size(folder: Path) -> dict[str, int]:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _watched(command: list[str]) -> dict[str, float]:
    """Seconds, processor seconds and peak memory of a command and all that it starts."""
    began, peak = time.perf_counter(), 0
    spent: dict[int, float] = {}
    with subprocess.Popen(command) as running:
        root = psutil.Process(running.pid)
        while running.poll() is None:
            memory = 0
            with suppress(psutil.Error):
                for process in (root, *root.children(recursive=True)):
                    with suppress(psutil.Error):
                        times = process.cpu_times()
                        spent[process.pid] = times.user + times.system
                        memory += process.memory_full_info().pss
            peak = max(peak, memory)
            time.sleep(0.5)
    if running.returncode:
        raise SystemExit(running.returncode)
    return {
        "wall_s": round(time.perf_counter() - began, 2),
        "cpu_s": round(sum(spent.values()), 2),
        "processes": len(spent),
        "peak_memory_bytes": peak,
    }


def build(folder: str, out: str, claims: str) -> None:
    """What `claimbench report` does, with claims that have no file."""
    from claimbench.reports import pages

    os.chdir(folder)
    made = [large.claim(place) for place in range(int(claims))]
    pages.build(Path("results"), Path(out), Path("asv"), made)


if __name__ == "__main__":
    build(*sys.argv[2:]) if sys.argv[1] == "--build" else main(*sys.argv[1:])
