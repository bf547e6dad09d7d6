"""Gram matrices tile by tile: the same values as at once, whatever happens on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from claimbench.kernels import KERNELS, backends_used, using
from claimbench.suite.gram import (
    GramFunction,
    Grams,
    Store,
    StoreError,
    Workplace,
    axes_of,
    gram,
    on_device,
    sweep,
    working,
)
from claimbench.suite.gram import plan as plans
from claimbench.suite.gram.functions import digest
from claimbench.suite.gram.plan import Grid, Plan, block_side, tile_side
from claimbench.suite.gram.tasks import Area, computed, in_blocks
from claimbench.suite.timing.floors import Peaks
from claimbench.suite.workers import Pool, PoolError, open_pool

from .workloads import Faulty

AXES: dict[str, Any] = {
    "flips": (False,),
    "get": ("ntk", "nngp"),
    "depths": (1, 3),
    "windows": ("gap", 0),
}
FUNCTION = GramFunction("cntk_gram", AXES)


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2, 4, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "BLOCKS", ((float("inf"), 4),))
    monkeypatch.setattr(plans, "TILE_BYTES", 8 * 8 * 8 * 4)
    monkeypatch.setattr(plans, "TILES_A_WORKER", 1)
    peaks = Peaks({"float32": 1e11, "float64": 5e10}, 1e10)
    monkeypatch.setattr("claimbench.suite.timing.floors.measured", lambda device: peaks)


def stored(tmp_path: Path, pool: Pool | None = None, **more: Any) -> Workplace:
    return Workplace(pool or Pool(), tmp_path / "grams", stored_seconds=0, **more)


def matrices(grams: Grams) -> np.ndarray:
    return np.stack([grams[index][:, :] for index in range(8)])


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    return np.allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_axes_are_those_that_the_kernels_shape_names() -> None:
    assert axes_of("cntk_gram") == ("flips", "get", "depths", "windows")
    assert axes_of("ntk_gram") == ("variants",)
    with pytest.raises(ValueError, match="saliency_mask answers no Gram matrix"):
        axes_of("saliency_mask")


@pytest.mark.parametrize("others", [None, 11])
def test_tiles_make_the_matrix_that_one_call_makes(tmp_path: Path, others: int | None) -> None:
    x, z = images(21), None if others is None else images(others, 1)
    told: list[str] = []
    with working(stored(tmp_path, tell=told.append)), backends_used() as used:
        found = matrices(gram(FUNCTION, x, z))
    assert close(found, FUNCTION(x, z))
    assert list(used) == ["cntk_gram"]
    assert "6 tiles of 8, 0 of them on record" in told[0]
    if z is None:
        np.testing.assert_array_equal(found, found.swapaxes(1, 2))


def test_values_do_not_depend_on_how_a_matrix_is_cut_into_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, size in (("few", 2**20), ("many", 1)):
        monkeypatch.setattr(plans, "TILE_BYTES", size)
        with working(stored(tmp_path / name)):
            found.append(matrices(gram(FUNCTION, images(21))))
    with working(Workplace()):
        found.append(matrices(gram(FUNCTION, images(21))))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


class Counted(Pool):
    """Counts what is computed on it."""

    def __init__(self) -> None:
        self.tiles = 0

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.tiles += function is computed
        return super().submit(function, *arguments)


def computed_tiles(place: Workplace, function: GramFunction, *samples: np.ndarray) -> int:
    pool = Counted()
    with working(replace(place, pool=pool)):
        gram(function, *samples)
    return pool.tiles


def test_what_is_stored_is_not_computed_again(tmp_path: Path) -> None:
    place, x = stored(tmp_path), images(21)
    assert computed_tiles(place, FUNCTION, x) == 6
    assert computed_tiles(place, FUNCTION, x) == 0
    fewer = replace(FUNCTION, axes=AXES | {"windows": (0,)})
    assert computed_tiles(place, fewer, x) == 0
    assert computed_tiles(place, FUNCTION, x[[3, 17, 5]]) == 0
    assert computed_tiles(place, FUNCTION, x[:4], x[9:]) == 0
    more = replace(FUNCTION, axes=AXES | {"depths": (1, 2, 3)})
    assert computed_tiles(place, more, x) == 6
    assert computed_tiles(place, FUNCTION, np.concatenate([x, images(3, 1)])) == 3


def test_a_change_of_anything_else_is_another_matrix(tmp_path: Path) -> None:
    place, x = stored(tmp_path), images(21)
    computed_tiles(place, FUNCTION, x)
    assert computed_tiles(place, replace(FUNCTION, fixed={"frozen_ends": True}), x) == 6
    changed = x.copy()
    changed[2, 0, 0, 0] += 1
    assert computed_tiles(place, FUNCTION, changed) > 0
    assert computed_tiles(place, FUNCTION, x.astype(np.float64)) == 21


def test_a_sub_sample_has_the_values_of_the_whole(tmp_path: Path) -> None:
    x, some = images(21), [20, 3, 3, 11]
    with working(stored(tmp_path)):
        whole, part = matrices(gram(FUNCTION, x)), matrices(gram(FUNCTION, x[some]))
    np.testing.assert_array_equal(part, whole[:, some][:, :, some])


def chunks(tmp_path: Path) -> list[Path]:
    found = (tmp_path / "grams").rglob("c/*/*")
    return sorted(path for path in found if "rows" not in path.parts and path.is_file())


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_corrupt_tile_is_found_by_its_checksum_and_computed_again(
    tmp_path: Path, damage: str, last: bool
) -> None:
    told: list[str] = []
    with working(stored(tmp_path, tell=told.append)):
        grams = gram(FUNCTION, images(21))
        wanted = matrices(grams)
        path = chunks(tmp_path)[-1 if last else 0]
        content = bytearray(path.read_bytes())
        content[7] ^= 1
        damaged = {"flip": bytes(content), "cut": bytes(content[:-9]), "empty": b""}
        path.write_bytes(damaged[damage]) if damage in damaged else path.unlink()
        np.testing.assert_array_equal(matrices(grams), wanted)
    assert any("computed again" in line for line in told)
    assert path.exists()


@pytest.mark.parametrize("content", ["[]", "{", '{"zarr_format": 3, "node_type": "group"}', ""])
def test_what_is_no_store_is_named_with_the_way_out(tmp_path: Path, content: str) -> None:
    with working(stored(tmp_path)):
        gram(FUNCTION, images(21))
        [store] = (tmp_path / "grams").glob("*/*.zarr")
        (store / "zarr.json").write_text(content)
        with pytest.raises(StoreError, match=r"\.zarr: not a store .* remove it"):
            gram(FUNCTION, images(21))


def test_a_store_of_a_newer_kind_is_not_read(tmp_path: Path) -> None:
    with working(stored(tmp_path)):
        gram(FUNCTION, images(21))
    [path] = (tmp_path / "grams").glob("*/*.zarr")
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(StoreError, match="schema 2, where 1 is known"):
        Store(path)


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "faults"
    folder.mkdir()
    monkeypatch.setenv("CLAIMBENCH_TEST_FAULTS", str(folder))
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return folder


def test_a_worker_that_dies_within_a_tile_costs_that_tile_only(
    tmp_path: Path, faults: Path
) -> None:
    pool = open_pool(2)
    try:
        with working(stored(tmp_path, pool)):
            x = images(21)
            (faults / "kill").touch()
            monkey = Faulty("cntk_gram", AXES)
            found = matrices(gram(monkey, x))
        assert not (faults / "kill").exists()
        assert close(found, FUNCTION(x))
    finally:
        pool.close()


@pytest.mark.parametrize("fault", ["nan", "memory"])
def test_an_answer_that_is_no_number_and_a_call_without_memory_are_made_again(
    tmp_path: Path, faults: Path, fault: str
) -> None:
    with working(stored(tmp_path)):
        place_first = GramFunction("cntk_gram", AXES)
        gram(place_first, images(2, seed=9))
        (faults / fault).touch()
        found = matrices(gram(Faulty("cntk_gram", AXES), images(21)))
    assert not (faults / fault).exists()
    assert close(found, FUNCTION(images(21)))


def test_values_that_overflow_are_named_with_the_way_out(tmp_path: Path) -> None:
    x = images(21)
    x[13] *= 1e30
    with (
        working(stored(tmp_path)),
        pytest.raises(ValueError, match=r"not finite in float32; scale"),
    ):
        gram(FUNCTION, x)


def test_samples_that_are_not_finite_are_named(tmp_path: Path) -> None:
    x = images(21)
    x[13, 0, 0, 0] = np.nan
    with (
        working(stored(tmp_path)),
        pytest.raises(ValueError, match=r"1 of 21 .* sample 13"),
    ):
        gram(FUNCTION, x)


class Liar(Pool):
    """Workers of another machine, whose answers are changed on their way or before."""

    remote = True

    def __init__(self, lies: int, honest_digest: bool):
        self.lies, self.honest_digest, self.blamed = lies, honest_digest, list[str]()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        future = super().submit(function, *arguments)
        if function is computed and self.lies:
            self.lies -= 1
            answer = future.result()
            values = answer.values * 1.5
            told = answer.digest if self.honest_digest else digest(values)
            future._result = answer._replace(values=values, digest=told, worker="liar")
        return future

    def blame(self, worker: str) -> None:
        self.blamed.append(worker)


@pytest.mark.parametrize("honest_digest", [True, False])
def test_a_tile_that_a_worker_corrupts_is_caught_and_its_worker_named(
    tmp_path: Path, honest_digest: bool
) -> None:
    pool = Liar(3, honest_digest)
    with working(stored(tmp_path, pool)):
        found = matrices(gram(FUNCTION, images(21)))
    assert close(found, FUNCTION(images(21)))
    assert pool.blamed == ["liar"] * 3


def test_a_worker_that_always_lies_ends_the_run(tmp_path: Path) -> None:
    with working(stored(tmp_path, Liar(10**6, True))), pytest.raises(PoolError, match="corrupted"):
        gram(FUNCTION, images(21))


def test_other_code_on_a_worker_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(Liar):
        def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
            future = Pool.submit(self, function, *arguments)
            if function is computed:
                answer = future.result()
                future._result = answer._replace(site=answer.site._replace(code="older"))
            return future

    with (
        working(stored(tmp_path, Older(0, True))),
        pytest.raises(PoolError, match="runs something"),
    ):
        gram(FUNCTION, images(21))


class Cramped(Pool):
    """Workers with room for so many values."""

    def __init__(self, room: int):
        self.room = room

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        def within(*given: Any) -> Any:
            answer = function(*given)
            if function is computed and answer.values.size > self.room:
                raise MemoryError("cramped")
            return answer

        return super().submit(within, *arguments)


def test_a_tile_that_is_too_large_for_a_worker_is_made_in_parts(tmp_path: Path) -> None:
    with working(stored(tmp_path / "a", Cramped(8 * 16))):
        found = matrices(gram(FUNCTION, images(21)))
    with working(stored(tmp_path / "b")):
        np.testing.assert_array_equal(found, matrices(gram(FUNCTION, images(21))))
    with working(stored(tmp_path / "c", Cramped(7))), pytest.raises(PoolError, match="fit"):
        gram(FUNCTION, images(21))


def test_a_call_without_memory_is_made_in_halves() -> None:
    def cramped(x: np.ndarray, z: np.ndarray | None = None) -> np.ndarray:
        if len(x) > 1:
            raise MemoryError
        return FUNCTION(x, z)

    class Small(GramFunction):
        __call__ = staticmethod(cramped)  # type: ignore[assignment]

    whole = Area(slice(0, 5), slice(0, 5))
    assert close(
        in_blocks(Small("cntk_gram", AXES), images(5), None, whole, 4), FUNCTION(images(5))
    )


def test_a_disk_without_the_room_is_told_of_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=2**10)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    pool = Counted()
    with working(stored(tmp_path, pool)), pytest.raises(OSError, match=r"0\.0 GiB free.*--results"):
        gram(FUNCTION, images(21))
    assert pool.tiles == 0


def test_another_store_that_is_broken_is_nobodys_hindrance(tmp_path: Path) -> None:
    with working(stored(tmp_path)):
        gram(FUNCTION, images(21))
        [store] = (tmp_path / "grams").glob("*/*.zarr")
        (store / "zarr.json").write_text("{")
        assert close(matrices(gram(FUNCTION, images(12))), FUNCTION(images(12)))


def test_a_gpu_without_memory_says_so_as_a_processor_does() -> None:
    torch = pytest.importorskip("torch")

    def full(x: Any) -> Any:
        assert x.device.type == "meta"
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(MemoryError, match="the GPU has not the memory"):
        on_device("meta", full, images(2))


def test_small_matrices_are_neither_stored_nor_sent(tmp_path: Path) -> None:
    place = Workplace(Counted(), tmp_path / "grams")
    assert computed_tiles(place, FUNCTION, images(21)) == 0
    assert not (tmp_path / "grams").exists()


def test_matrices_larger_than_memory_should_hold_are_stored_for_as_long_as_they_are_used() -> None:
    with working(Workplace(held=100)):
        grams = gram(FUNCTION, images(21))
        assert close(matrices(grams), FUNCTION(images(21)))


def test_the_grid_has_each_pair_once() -> None:
    for n, m, side in ((21, None, 8), (5, 11, 4), (8, None, 8), (1, 1, 4)):
        grid, seen = Grid(n, m, side), np.zeros((n, m or n), int)
        for tile in grid:
            seen[tile.rows, tile.columns] += 1
        assert len(list(grid)) == len(grid)
        wanted = seen + seen.T if m is None else seen
        assert (wanted >= 1).all()
        assert seen.max() == 1
        assert grid.pairs == (n * (n + 1) // 2 if m is None else n * m)


def test_a_tile_is_as_large_as_time_memory_and_the_number_of_workers_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    ample: dict[str, Any] = {"pair_bytes": 4, "pair_seconds": 1e-9, "memory": 2**34, "workers": 1}
    assert tile_side(60_000, None, 32, **ample) == 4096
    assert tile_side(60_000, None, 32, **ample | {"pair_seconds": 1e-3}) == 64
    assert tile_side(60_000, None, 32, **ample | {"memory": 2**22}) == 512
    assert tile_side(4_000, None, 32, **ample | {"workers": 8}) == 256
    assert tile_side(60_000, None, 32, **ample | {"pair_seconds": 1e3}) == 32


def test_a_block_is_larger_where_a_pair_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    sides = [block_side(flops, "cpu") for flops in (1e3, 1e5, 1e8, 1e10)]
    assert sides == [1024, 256, 64, 32]
    assert block_side(1e3, "cuda") == 512
    assert block_side(None, "cpu") == 64


def test_a_plan_tells_tiles_bytes_seconds_and_floor() -> None:
    plan = Plan(Grid(1000, None, 100), 50, 2, 4, 2, 1e-3, 1e-4, 1000)
    assert plan.stored_bytes == 55 * 100 * 100 * 2 * 4
    assert plan.seconds == pytest.approx(1000 * 1001 / 2 * 1e-3 / 2)
    assert plan.floor == pytest.approx(plan.seconds / 10)
    assert str(replace(plan, known=11)).startswith("1000 x 1000, 2 variants: 55 tiles of 100, 11 ")
    assert replace(plan, known=11).seconds == pytest.approx(plan.seconds * 0.8)


def test_every_gram_kernel_can_be_asked_for() -> None:
    asked = {name for name in KERNELS if name.endswith("_gram") and "empirical" not in name}
    found = {name for name in asked if axes_of(name)}
    assert {"cntk_gram", "ntk_gram"} <= found
    assert os.environ.get("OMP_NUM_THREADS") != "0"


def test_a_rectangle_and_the_diagonal_are_read_from_wherever_they_are(tmp_path: Path) -> None:
    wanted = FUNCTION(images(21))
    for place in (stored(tmp_path), Workplace()):
        with working(place):
            matrix = gram(FUNCTION, images(21))[3]
        assert close(matrix[5:9, 2:], wanted[3, 5:9, 2:])
        assert close(matrix[-1:, :20], wanted[3, -1:, :20])
        assert close(matrix.diagonal(), wanted[3].diagonal())


def test_the_backend_that_is_asked_for_computes(tmp_path: Path) -> None:
    with working(stored(tmp_path)), using("reference"), backends_used() as used:
        found = matrices(gram(FUNCTION, images(6).astype(np.float64)))
    assert used == {"cntk_gram": "reference"}
    np.testing.assert_allclose(found, FUNCTION(images(6).astype(np.float64)), rtol=1e-12)


def test_what_a_killed_writer_left_of_a_tile_is_swept_away(tmp_path: Path) -> None:
    with working(stored(tmp_path)):
        gram(FUNCTION, images(21))
    tile = chunks(tmp_path)[0]
    left = tile.with_suffix(".0123456789abcdef.partial")
    left.write_bytes(b"half a ti")
    sweep(tmp_path / "grams")
    assert tile.exists()
    assert not left.exists()
