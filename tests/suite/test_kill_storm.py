"""Commands that are killed and repeated end as if nobody had killed them: a few storms of many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the experiment needs Linux")
def test_killed_and_repeated_is_the_same_as_undisturbed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.experiments.kill_storm", str(tmp_path / "told.json")]
    subprocess.run([*command, "4", "7", "short"], cwd=ROOT, check=True, capture_output=True)
    told = json.loads((tmp_path / "told.json").read_bytes())
    assert told["differences"] == []
    seen = told["all"]
    assert seen["kills"] >= seen["storms"] == seen["identical"] >= 4
    assert seen["half_lines_at_kills"]
    assert not seen["lines_lost"] + seen["left_at_the_end"] + seen["hung"]
