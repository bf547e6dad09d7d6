"""Gram matrices past one process and past memory: planned, computed and stored tile by tile.

function, samples  ->  plan  ->  tiles, on workers  ->  store  ->  solver
"""

from .engine import Grams, Workplace, gram, working
from .functions import GramFunction, axes_of
from .plan import Plan, Tile
from .store import CorruptTile, Store, StoreError

__all__ = [
    "CorruptTile",
    "GramFunction",
    "Grams",
    "Plan",
    "Store",
    "StoreError",
    "Tile",
    "Workplace",
    "axes_of",
    "gram",
    "working",
]
