"""The security page is true of what is here; what CI installs is pinned by hash and audited."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from claimbench.suite.cli import app

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("gate", "all", "tools")


# The page


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`([\w.-]+(?:/[\w.-]+)+|[\w-]+\.(?:toml|txt|yml|json))`", PAGE))
    assert "tests/suite/test_isolation.py" in named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_test_file_that_it_names_holds_tests() -> None:
    for name in set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE)):
        assert "\ndef test_" in (ROOT / name).read_text(), name


def options() -> set[str]:
    """All options of all commands."""
    found: set[str] = set()
    waiting: list[Any] = [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        found.update(word for parameter in command.params for word in parameter.opts)
        waiting.extend(getattr(command, "commands", {}).values())
    return found


def test_every_option_that_it_names_exists() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert {"--isolated", "--memory", "--seconds"} <= named
    assert named - options() == {"--require-hashes"}  # of pip


def test_every_tox_environment_that_it_names_exists() -> None:
    text = (ROOT / "tox.ini").read_text()
    for name in set(re.findall(r"tox run -e (\w+)", PAGE)):
        assert f"[testenv:{name}]" in text


# The locks


def locked(name: str) -> dict[str, set[str]]:
    """Versions by name; one for each Python that it depends on, and every one with a hash."""
    versions: dict[str, set[str]] = defaultdict(set)
    text = (ROOT / "locks" / f"{name}.txt").read_text().replace("\\\n", " ")
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        wanted, *hashes = re.split(r"\s+--hash=", line)
        assert hashes, f"{wanted} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", h.strip()) for h in hashes), wanted
        requirement = Requirement(wanted)
        [pin] = requirement.specifier
        assert pin.operator == "==", wanted
        versions[requirement.name].add(pin.version)
    return versions


@pytest.fixture(scope="module", params=LOCKS)
def lock(request: pytest.FixtureRequest) -> dict[str, set[str]]:
    return locked(request.param)


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def elsewhere() -> set[str]:
    lines = (ROOT / "locks" / "elsewhere.in").read_text().splitlines()
    return {Requirement(line).name for line in lines if not line.startswith("#")}


def test_locks_have_the_constrained_versions(lock: dict[str, set[str]]) -> None:
    for name, version in constraints().items():
        assert lock.get(name, {version}) == {version}, f"{name}: tox run -e lock"


def test_whatever_is_constrained_has_a_hash_or_a_reason() -> None:
    without = set(constraints()) - set(locked("all")) - elsewhere()
    assert without == {"mypy", "ruff"}  # tools of a style check, run by tox by version


def wanted(extras: set[str], group: str = "") -> list[Requirement]:
    """What the project and some of its extras ask for on the Linux that CI runs on."""
    table = PROJECT["project"]
    lines = [*table["dependencies"], *PROJECT["dependency-groups"].get(group, [])]
    waiting = list(extras)
    while waiting:
        for line in table["optional-dependencies"][waiting.pop()]:
            if (requirement := Requirement(line)).name == table["name"]:
                waiting += requirement.extras
            else:
                lines.append(line)
    return [r for r in map(Requirement, lines) if _applies(r.marker)]


def _applies(marker: Marker | None) -> bool:
    return marker is None or marker.evaluate({"sys_platform": "linux", "python_version": "3.12"})


@pytest.mark.parametrize(
    ("name", "extras", "group"),
    [("gate", {"asv", "report", "stats"}, ""), ("all", {"all"}, "test")],
)
def test_locks_cover_what_the_project_asks_for(name: str, extras: set[str], group: str) -> None:
    here = {canonicalize_name(found): versions for found, versions in locked(name).items()}
    asked = [r for r in wanted(extras, group) if r.name not in elsewhere()]
    asked += map(Requirement, PROJECT["build-system"]["requires"])
    for requirement in asked:
        found = here.get(canonicalize_name(requirement.name), set())
        assert found, f"locks/{name}.txt lacks {requirement}: tox run -e lock"
        assert all(requirement.specifier.contains(v) for v in found), requirement


def test_locks_name_no_host_and_nothing_that_comes_from_elsewhere(
    lock: dict[str, set[str]],
) -> None:
    assert not elsewhere() & set(lock)
    for path in (ROOT / "locks").iterdir():
        assert "://" not in path.read_text(), path


# The audit


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


KNOWN = {"id": "PYSEC-1", "fix_versions": ["2.1"]}
GOOD = answer({"name": "a", "version": "1", "vulns": []})
BAD = answer({"name": "b", "version": "2", "vulns": [KNOWN]})
PASSED_OVER = answer({"name": "c", "skip_reason": "not found"})


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ([GOOD, GOOD], 0, "nothing is known against 1 packages"),
        ([GOOD, BAD], 1, "b 2: PYSEC-1, mended in 2.1"),
        ([GOOD, PASSED_OVER], 4, "no answer for 1 of 2 packages: c"),
        ([BAD, PASSED_OVER], 1, "no answer for 1 of 2 packages: c"),
        ([GOOD, "Traceback\nConnectionError: no route"], 4, "its service: ConnectionError: no rou"),
        ([GOOD, ""], 4, "its service: it said nothing"),
    ],
)
def test_no_answer_is_no_good_answer(
    audit: ModuleType, answers: list[str], code: int, said: str
) -> None:
    found, text = audit.judged(answers)
    assert found == code
    assert said in text


def test_every_lock_is_audited(audit: ModuleType) -> None:
    names = {path.relative_to(ROOT).as_posix() for path in audit.LISTS}
    assert names == {"constraints.txt", *(f"locks/{name}.txt" for name in LOCKS)}
