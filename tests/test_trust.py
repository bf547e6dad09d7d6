"""Nothing in a definition, a record or a result file can run code.

First no call is in the package that could, whatever the file; then files that try are planted
where each reader looks, and do nothing.
"""

from __future__ import annotations

import ast
import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from claimbench.reports import asv_results, bench_records
from claimbench.suite import records
from claimbench.suite.checking import check
from claimbench.suite.definitions import DefinitionError
from claimbench.suite.project import contents

from .reports import asv_files

ROOT = Path(__file__).parents[1]
SOURCES = [
    path for folder in ("kernels", "suite", "reports") for path in (ROOT / folder).rglob("*.py")
]
MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "yaml",
    "jsonpickle",
    "code",
    "runpy",
}
"""What is in them turns text into code; `joblib.load` does, and is looked for by its name."""
NAMES = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "os.system",
    "os.popen",
    "joblib.load",
    "np.fromregex",
    "pandas.read_pickle",
    "np.loadtxt",
    "np.genfromtxt",
}


def named(node: ast.expr) -> str:
    """`np.load` of a call to it; a question mark stands for whatever is no name."""
    if isinstance(node, ast.Attribute):
        return f"{named(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def says(call: ast.Call, key: str) -> Any:
    """The value of a keyword where it stands in the code, else `None`."""
    for keyword in call.keywords:
        if keyword.arg == key:
            return getattr(keyword.value, "value", "computed")
    return None


def suspicions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            if module.partition(".")[0] in MODULES:
                yield module
            yield from (a.name for a in node.names if f"{module}.{a.name}" in CALLS)
        elif isinstance(node, ast.Call):
            yield from _call(node, named(node.func))


def _call(node: ast.Call, name: str) -> Iterator[str]:
    if name in NAMES | CALLS:
        yield name
    if says(node, "shell") not in (None, False):
        yield f"{name}(shell=...)"
    if says(node, "allow_pickle") not in (None, False):
        yield f"{name}(allow_pickle=...)"
    if name == "torch.load" and says(node, "weights_only") is not True:
        yield "torch.load without weights_only=True"
    if name.rpartition(".")[2] == "extractall":
        yield name


def test_no_call_of_the_package_could_run_what_a_file_says() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {suspicion}"
        for path in SOURCES
        for suspicion in suspicions(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from pickle import loads", "eval(x)", "exec(x)", "import yaml",
     "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)", "torch.load(f)",
     "compile(x)", "os.system(x)",
     "torch.load(f, weights_only=False)", "subprocess.run(x, shell=True)", "from os import system",
     "tar.extractall()", "joblib.load(f)", "__import__(x)"],
)  # fmt: skip
def test_the_search_is_not_blind(code: str) -> None:
    assert list(suspicions(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    ["net.eval()", "make().eval()", "re.compile(x)", "torch.compile(x)", "np.load(f)",
     "np.load(f, allow_pickle=False)",
     "torch.load(f, weights_only=True)", "subprocess.run(x)", "from .compile import x"],
)  # fmt: skip
def test_the_search_knows_what_is_harmless(code: str) -> None:
    assert not list(suspicions(ast.parse(code)))


# Planted files. Each would leave a folder behind if it were executed.


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


SPRUNG = "sprung"


def bodies(folder: Path) -> dict[str, bytes]:
    """What somebody might plant, in the languages that readers have been fooled with."""
    target = str(folder / SPRUNG)
    python = f"__import__('os').mkdir({target!r})"
    return {
        "pickle": pickle.dumps(Trap(folder / SPRUNG)),
        "python": python.encode(),
        "json": json.dumps({"version": 2, "schema_version": python, "__reduce__": python,
                            "py/reduce": [{"py/type": "os.mkdir"}, [target]]}).encode(),
        "yaml": f"!!python/object/apply:os.mkdir [{target!r}]".encode(),
        "toml": f'title = "{{{{ {python} }}}}"\n[methods.a.__import__]\nname = "os"\n'.encode(),
        "shell": f"$(mkdir {target})`mkdir {target}`".encode(),
    }  # fmt: skip


def plant(folder: Path, name: str, body: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body + b"\n")


@pytest.mark.parametrize("kind", list(bodies(Path())))
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("toy.toml", lambda folder: check(folder / "toy.toml")),
        ("pyproject.toml", contents),
        ("a.jsonl", records.read),
        ("bench-a.json", bench_records.read),
        ("box/a.json", asv_results.timings),
        ("benchmarks.json", asv_results.timings),
    ],
)
def test_a_planted_file_does_nothing(
    tmp_path: Path, kind: str, name: str, read: Callable[[Path], object]
) -> None:
    asv_files.write_benchmarks(tmp_path)
    asv_files.write_results(tmp_path, "b" * 40, [0.1])
    plant(tmp_path, name, bodies(tmp_path)[kind])
    with suppress(DefinitionError, records.RecordError, asv_results.HistoryError):
        read(tmp_path)
    assert not (tmp_path / SPRUNG).exists()


def test_a_parameter_of_asv_is_a_literal_and_no_expression(tmp_path: Path) -> None:
    """asv writes `repr` of each parameter; whatever else stands there is only text."""
    python = bodies(tmp_path)["python"].decode()
    asv_files.write_benchmarks(tmp_path)
    path = asv_files.write_results(tmp_path, "b" * 40, [0.1])
    content = json.loads(path.read_text())
    content["results"][f"{asv_files.NAME}.time_kernel"][1][0] = [python]
    path.write_text(json.dumps(content))
    [timing] = asv_results.timings(tmp_path)
    assert timing.backend == python
    assert not (tmp_path / SPRUNG).exists()


def test_a_claim_that_names_attributes_and_modules_is_told_they_are_unknown(tmp_path: Path) -> None:
    text = (ROOT / "suite" / "claim_template.toml").read_text()
    for name in ("__class__", "__init__", "os.system", "__builtins__", "run"):
        path = tmp_path / "toy.toml"
        path.write_text(text.replace("ntk_svm.ntk_svm]", f'ntk_svm."{name}"]'))
        found = check(path)
        assert isinstance(found, list)
        assert any(f"no method is called {name!r}" in complaint.message for complaint in found)


@pytest.mark.parametrize(
    "spoilt",
    [{"compressor": {"id": "pickle"}}, {"filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]}],
)
def test_a_pickle_in_a_store_of_tiles_is_not_unpickled(
    tmp_path: Path, spoilt: dict[str, Any]
) -> None:
    """zarr's older format can name a codec that unpickles; it is refused with its store."""
    pytest.importorskip("zarr", reason="zarr is not installed")
    from claimbench.suite.gram.store import Store

    about = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "compressor": None,
             "fill_value": "", "order": "C", "filters": [{"id": "vlen-utf8"}]}  # fmt: skip
    plant(tmp_path, ".zgroup", b'{"zarr_format": 2}')
    plant(tmp_path, ".zattrs", b'{"schema": 1, "dtype": "float32", "side": 4}')
    plant(tmp_path, "rows/.zarray", json.dumps(about | spoilt).encode())
    plant(tmp_path, "rows/0", pickle.dumps(Trap(tmp_path / SPRUNG)))
    with pytest.raises(Exception, match=r"not a store of a Gram matrix|unpickling"):
        Store(tmp_path)
    assert not (tmp_path / SPRUNG).exists()
