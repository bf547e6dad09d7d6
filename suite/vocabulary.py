"""Everything that a claim file may name. Importing this module registers what the suite brings."""

from __future__ import annotations

from typing import Any

from . import methods, protocols
from .evaluation import method, protocol
from .registry import Registry
from .rules import rule

__all__ = ["REGISTRIES", "method", "methods", "protocol", "protocols", "rule"]

REGISTRIES: dict[str, tuple[Registry[Any], int]] = {
    "methods": (method, 1),
    "protocols": (protocol, 2),
    "rules": (rule, 1),
}
"""By section of a claim file: its registry, and how many arguments the suite itself gives."""
