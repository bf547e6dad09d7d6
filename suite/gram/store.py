"""Tiles on disk, each once and for all: a chunk of a zarr array, with a checksum, written at once.

    <root>/<function>/<samples>.zarr/<variant>/c/<row>/<column>

The names are digests of what can change a value, so that nothing stale is ever found; whatever is
found may be read by anybody who asks for the same samples, or for some of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from .functions import GramFunction, Samples, Variant
from .plan import Grid, Tile

SCHEMA = 1

Digests = UInt8[np.ndarray, "n 16"]


class StoreError(RuntimeError):
    """A folder holds something that is not a store of ours; the message has the way out."""


class CorruptTile(RuntimeError):
    """A tile is not what was written; it has to be computed again."""

    def __init__(self, reason: str, variant: Variant, tile: Tile):
        super().__init__(reason)
        self.variant, self.tile = variant, tile


def digests(samples: Samples) -> Digests:
    """BLAKE2b over each sample, 16 bytes."""
    rows = [hashlib.blake2b(np.ascontiguousarray(s).data, digest_size=16).digest() for s in samples]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(samples), 16)


def short(content: Any) -> str:
    """A name that is a digest: of bytes, or of what can be said in JSON."""
    encoded = (
        content if isinstance(content, bytes) else json.dumps(content, sort_keys=True).encode()
    )
    return hashlib.sha256(encoded).hexdigest()[:24]


class Store:
    """The tiles of all variants of one Gram matrix.

    Attributes:
        grid: how it is cut; as it was when the store was made.
        rows: digest of each sample of the rows.
        columns: of the columns; `None` of a symmetric matrix.
    """

    def __init__(self, path: Path):
        """Open what is there.

        Raises:
            StoreError: if it is no store, or of a newer kind.
        """
        import zarr

        self.path = path
        try:
            self._group = zarr.open_group(path, mode="r+", zarr_format=3)
            about = dict(self._group.attrs)
            if about["schema"] != SCHEMA:
                raise ValueError(f"schema {about['schema']!r}, where {SCHEMA} is known")
            self.dtype = np.dtype(str(about["dtype"]))
            self.rows = _read_digests(self._group, "rows")
            self.columns = (
                _read_digests(self._group, "columns") if "columns" in self._group else None
            )
            n, m = len(self.rows), None if self.columns is None else len(self.columns)
            self.grid = Grid(n, m, int(str(about["side"])))
            if self.dtype.kind != "f" or self.grid.side < 1:
                raise ValueError("sizes that no store has")
        except Exception as e:  # whatever somebody may have put there
            raise StoreError(
                f"{path}: not a store of a Gram matrix ({type(e).__name__}: {e}); remove it, and "
                "it is computed anew"
            ) from None

    @classmethod
    def made(
        cls, root: Path, function: GramFunction, x: Samples, z: Samples | None, side: int
    ) -> Store:
        """The store of a function on some samples; a new one with tiles of `side` where none is."""
        import zarr

        path = place(root, function, x, z)
        if not path.exists():
            new = path.with_name(f".{path.name}.new")
            shutil.rmtree(new, ignore_errors=True)
            about: dict[str, Any] = {
                "schema": SCHEMA,
                "function": function.identity(),
                "dtype": str(x.dtype),
                "side": side,
            }
            group = zarr.open_group(new, mode="w", attributes=about)
            for name, samples in (("rows", x), ("columns", z)):
                if samples is not None:
                    group.create_array(name, data=digests(samples), compressors=_checksum())
            new.rename(path)
        return cls(path)

    def has(self, variant: Variant, tile: Tile) -> bool:
        return self._chunk(variant, tile).exists()

    def write(
        self, variant: Variant, tile: Tile, values: Float[np.ndarray, "rows columns"]
    ) -> None:
        """Keep a tile, whole or not at all."""
        self._array(variant)[tile.rows, tile.columns] = values

    def read(self, variant: Variant, tile: Tile) -> Float[np.ndarray, "rows columns"]:
        """A tile as it was written.

        Raises:
            CorruptTile: if it was not written, or its checksum differs.
        """
        if not self.has(variant, tile):
            raise CorruptTile(f"{self._chunk(variant, tile)} is not there", variant, tile)
        try:
            return np.asarray(self._array(variant)[tile.rows, tile.columns])
        except Exception as e:  # a codec may meet anything in what is no longer what it wrote
            reason = f"{self._chunk(variant, tile)} is corrupt ({e})"
            raise CorruptTile(reason, variant, tile) from None

    def remove(self, variant: Variant, tile: Tile) -> None:
        self._chunk(variant, tile).unlink(missing_ok=True)

    def block(self, variant: Variant, rows: slice, columns: slice) -> Float[np.ndarray, "r c"]:
        """Any rectangle of the whole matrix, also of the half that is not stored."""
        return self.gathered(variant, *(np.arange(s.start, s.stop) for s in (rows, columns)))

    def gathered(
        self, variant: Variant, rows: Int[np.ndarray, " r"], columns: Int[np.ndarray, " c"]
    ) -> Float[np.ndarray, "r c"]:
        """Values at the crossings of some rows and columns, tile by tile.

        Raises:
            CorruptTile: if a tile is not there or not whole.
        """
        out = np.empty((len(rows), len(columns)), self.dtype)
        for tile in self.needed(rows, columns):
            values = self.read(variant, tile)
            _copy(values, tile, rows, columns, out)
            if self.columns is None:
                _copy(values, tile, columns, rows, out.T)
        return out

    def samples(self, tile: Tile) -> tuple[Digests, Digests]:
        """Which samples are in the rows and the columns of a tile."""
        others = self.rows if self.columns is None else self.columns
        return self.rows[tile.rows], others[tile.columns]

    def places(
        self, rows: Digests, columns: Digests
    ) -> tuple[Int[np.ndarray, " r"], Int[np.ndarray, " c"]] | None:
        """Where these samples are in this matrix; `None` if some are not in it."""
        try:
            down = [self._down[row.tobytes()] for row in rows]
            across = [self._across[column.tobytes()] for column in columns]
        except KeyError:
            return None
        return np.array(down), np.array(across)

    @cached_property
    def _down(self) -> dict[bytes, int]:
        return {row.tobytes(): index for index, row in enumerate(self.rows)}

    @cached_property
    def _across(self) -> dict[bytes, int]:
        if self.columns is None:
            return self._down
        return {column.tobytes(): index for index, column in enumerate(self.columns)}

    def needed(self, rows: Int[np.ndarray, " r"], columns: Int[np.ndarray, " c"]) -> Iterator[Tile]:
        """The tiles that hold the crossings of some rows and columns."""
        side = self.grid.side
        down, across = set((rows // side).tolist()), set((columns // side).tolist())
        wanted = {(i, j) for i in down for j in across}
        if self.columns is None:
            wanted = {(min(pair), max(pair)) for pair in wanted}
        for i, j in sorted(wanted):
            yield self.grid.tile(i, j)

    def _array(self, variant: Variant) -> Any:
        name = short(variant)
        if name not in self._arrays:
            self._arrays[name] = self._group.require_array(
                name,
                shape=self.grid.shape,
                chunks=(self.grid.side, self.grid.side),
                dtype=self.dtype,
                compressors=_checksum(),
                fill_value=np.nan,
                config={"write_empty_chunks": True},
                attributes={"variant": variant},
            )
        return self._arrays[name]

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        return {}

    def _chunk(self, variant: Variant, tile: Tile) -> Path:
        """Where zarr keeps a chunk (version 3 of its format, default keys)."""
        return self.path / short(variant) / "c" / str(tile.row) / str(tile.column)


def sweep(root: Path) -> None:
    """Remove what killed writers left of tiles; nobody else may be writing there."""
    for path in root.rglob("*.partial"):  # as zarr calls a file that has not its name yet
        path.unlink(missing_ok=True)


def place(root: Path, function: GramFunction, x: Samples, z: Samples | None) -> Path:
    """Where the store of a function on some samples is."""
    about = short([type(function).__name__, function.identity(), str(x.dtype), x.shape[1:]])
    samples = digests(x).tobytes() + (b"" if z is None else b"x" + digests(z).tobytes())
    return root / about / f"{short(samples)}.zarr"


def siblings(store: Store) -> Iterator[Store]:
    """Other stores of the same function, which may hold some of the same pairs."""
    for path in sorted(store.path.parent.glob("*.zarr")):
        if path != store.path:
            with suppress(StoreError):  # whoever needs that one is told
                yield Store(path)


def _checksum() -> Any:
    from zarr.codecs import Crc32cCodec

    return Crc32cCodec()


def _read_digests(group: Any, name: str) -> Digests:
    found = np.asarray(group[name][:])
    if found.dtype != np.uint8 or found.ndim != 2 or found.shape[1] != 16 or not len(found):
        raise ValueError(f"{name} are no digests")
    return found


def _copy(
    values: Float[np.ndarray, "h w"],
    tile: Tile,
    rows: Int[np.ndarray, " r"],
    columns: Int[np.ndarray, " c"],
    out: Float[np.ndarray, "r c"],
) -> None:
    """What a tile holds of the crossings of some rows and columns."""
    down, across = _within(rows, tile.rows), _within(columns, tile.columns)
    inside = np.ix_(rows[down] - tile.rows.start, columns[across] - tile.columns.start)
    out[np.ix_(down, across)] = values[inside]


def _within(indices: Int[np.ndarray, " k"], part: slice) -> Int[np.ndarray, " j"]:
    """Positions of those indices that fall into a part."""
    return np.flatnonzero((indices >= part.start) & (indices < part.stop))
