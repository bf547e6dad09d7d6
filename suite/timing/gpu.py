"""What a GPU says of its clocks, which move with heat, power and neighbours."""

from __future__ import annotations

import subprocess

FIELDS = ("clocks.sm", "clocks.mem", "clocks.max.sm", "temperature.gpu", "power.draw")


def clocks() -> dict[str, float] | None:
    """MHz, degrees Celsius and watts, by the names of nvidia-smi; `None` where it does not tell."""
    query = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20)
        values = done.stdout.splitlines()[0].split(",")
        return {name: float(value) for name, value in zip(FIELDS, values, strict=True)}
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
