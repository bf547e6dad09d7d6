"""Gram matrices past one process and past memory: planned, computed and stored tile by tile.

function, samples  ->  plan  ->  tiles, on workers  ->  store  ->  solver
"""

from .engine import Grams, Matrix, Workplace, gram, plan_of, working
from .functions import GramFunction, axes_of, listed, on_device
from .plan import Plan, Tile
from .store import CorruptTile, Store, StoreError, sweep

__all__ = [
    "CorruptTile",
    "GramFunction",
    "Grams",
    "Matrix",
    "Plan",
    "Store",
    "StoreError",
    "Tile",
    "Workplace",
    "axes_of",
    "gram",
    "listed",
    "on_device",
    "plan_of",
    "sweep",
    "working",
]
