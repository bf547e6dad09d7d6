"""JSON Schemas of what is written for other programs.

`python -m claimbench.reports.schemas docs/schemas` writes them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from claimbench.suite.definitions import schema as claim_schema
from claimbench.suite.kernel_bench import BenchRecord
from claimbench.suite.records import Record

from . import outputs
from .rounds import Rounds

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "bench": TypeAdapter(BenchRecord).json_schema,
    "claim": claim_schema,
    "gate": outputs.json_schema,
    "record": Record.model_json_schema,
    "rounds": Rounds.model_json_schema,
}


def text(name: str) -> str:
    return json.dumps(SCHEMAS[name](), indent=1, sort_keys=True) + "\n"


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCHEMAS:
        (folder / f"{name}.schema.json").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
