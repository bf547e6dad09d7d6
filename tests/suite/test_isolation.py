"""What strange code may do to a check: end its own, and nothing else.

`strangers/` is installed as a plug-in, for the processes that are started here alone.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from claimbench.kernels.checks import Finding
from claimbench.suite import isolation
from claimbench.suite.definitions import DefinitionError
from claimbench.suite.isolated_checks import ENDED, Answer, Check, check_isolated
from claimbench.suite.isolation import Ended, Limits, answers, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hold a process so")

HERE = Path(__file__).parent
NAMESPACES = ["unshare", "--user", "--net", "--pid", "--ipc", "--fork"]
LIMITS = Limits(seconds=60, memory_gib=4)


def granted() -> bool:
    """Whether this system gives namespaces to whoever runs the tests."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not granted(), reason="this system grants no namespaces")


@pytest.fixture(autouse=True)
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the plug-in for processes that are started, with a secret and a port about."""
    site = tmp_path / "site"
    shutil.copytree(HERE / "strangers", site)
    about = site / "strange-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[claimbench]\nstrange = strange\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("A_TOKEN", "c2VjcmV0")
    monkeypatch.setenv("CLAIMBENCH_STRANGE_FILE", str(tmp_path / "beat"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("CLAIMBENCH_STRANGE_PORT", str(server.getsockname()[1]))
        yield tmp_path


def checked(kernel: str, backend: str, limits: Limits = LIMITS) -> list[Finding]:
    said: list[str] = []
    found = list(check_isolated([kernel], backend, Check("cpu", 11, limits, said.append)))
    assert bool(said) is not granted()
    return found


def reason(backend: str, limits: Limits = LIMITS) -> str:
    """Why there are no more findings; it is the last thing said."""
    *before, last = checked("double", backend, limits)
    # Python itself draws a new state of `random` in a process that forks.
    assert {finding.fault for finding in before} <= {"", "SURROUNDINGS", ENDED}
    assert last.fault == ENDED
    assert "\n" not in last.problem
    assert "\x1b" not in last.problem
    return last.problem


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("crashes", "was ended by SIGSEGV (a crash), before the first check"),
        ("aborts", r"was ended by SIGABRT; it last said: malloc(): \x1b[31mcorrupted, before"),
        ("leaves", "left with exit code 0, before the first check"),
        ("forks", "answered what was not asked, or twice"),
        ("hoards", "more than 4 GiB of address space was wanted (--memory)"),
        ("writes_to_every_file", "something other than its answers was written to where they go"),
        ("floods", "answered more than 16 MiB"),
    ],
)
def test_whatever_ends_a_check_is_told_in_a_line(backend: str, why: str) -> None:
    assert why in reason(backend)


def test_an_endless_loop_is_stopped() -> None:
    began = time.monotonic()
    assert "did not end within 5 s (--seconds), before" in reason("loops", Limits(5, 4))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("backend", ["prints", "finds_nothing"])
def test_what_does_no_harm_passes(backend: str) -> None:
    found = checked("double", backend)
    assert len(found) == 4
    assert not any(finding.problem for finding in found)


@needs_namespaces
@pytest.mark.parametrize("backend", ["finds_nothing_outside", "kills_its_keeper"])
def test_it_has_no_network_and_no_reach(backend: str) -> None:
    assert not any(finding.problem for finding in checked("double", backend))


@needs_namespaces
def test_nothing_outlives_the_check(strangers: Path) -> None:
    reason("stays_behind")
    assert is_still(strangers / "beat")


def is_still(beat: Path) -> bool:
    """Whether nothing writes to a file any more that was written to every 50 ms."""
    before = beat.read_text()
    time.sleep(0.5)
    return beat.read_text() == before


def test_a_wrong_result_is_one_as_ever() -> None:
    assert {finding.fault for finding in checked("double", "wrong")} == {"VALUES"}


# The command

PROGRAM = [sys.executable, "-P", "-m", "claimbench.suite", "kernels", "check"]
OPTIONS = ["--isolated", "--device", "cpu", "--seed", "11"]


def command(*words: str, under: tuple[str, ...] = ()) -> tuple[int, str, str]:
    done = subprocess.run(
        [*under, *PROGRAM, *words, *OPTIONS], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_nothing_outlives_whoever_started_the_check(strangers: Path) -> None:
    beat = strangers / "beat"
    with subprocess.Popen(
        [*PROGRAM, "double", "--backend", "beats", *OPTIONS], stderr=subprocess.DEVNULL
    ) as started:
        while not beat.exists():
            assert started.poll() is None
            time.sleep(0.05)
        started.kill()
    time.sleep(0.5)  # the signal goes from the launcher to the keeper, and from it to the worker
    assert is_still(beat)


def test_the_rest_goes_on_and_the_exit_code_is_that_of_infrastructure() -> None:
    code, said, _ = command("crowd")
    assert code == 4
    assert "crowd on crashes was not checked to its end: was ended by SIGSEGV" in said
    for backend in ("prints", "right"):
        assert f"crowd   {backend}" in said


def test_a_wrong_result_keeps_its_exit_code_and_the_answer_is_ours_alone() -> None:
    code, said, _ = command("double", "--backend", "wrong", "--json")
    assert code == 1
    assert {finding["fault"] for finding in json.loads(said)} == {"VALUES"}
    code, said, _ = command("double", "--backend", "prints", "--json")
    assert code == 0
    assert {finding["case"] for finding in json.loads(said)} == {"2x3", "5x3"}


def test_a_plug_in_that_leaves_as_it_is_imported_does_not_keep_ours_from_being_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAIMBENCH_STRANGE_IMPORT", "1")
    code, said, _ = command("saliency_mask", "--backend", "reference")
    assert code == 4
    assert "plug-ins on all was not checked to its end: left with exit code 0" in said
    assert "saliency_mask  reference" in said


@needs_namespaces
def test_without_namespaces_it_says_what_is_not_held() -> None:
    none = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    under = ("unshare", "--user", "--map-root-user", "sh", "-c", none, "sh")
    code, _, complaint = command("crowd", "--backend", "right", under=under)
    assert code == 0
    assert complaint.count("what runs can reach the network") == 1


def test_an_unknown_kernel_is_wrong_usage() -> None:
    with pytest.raises(DefinitionError, match="no kernel is called 'crowds'; did you mean 'crowd'"):
        checked("crowds", "right")


# What is let through

GOOD = {
    "kernel": "double", "backend": "right", "case": "2x3", "dtype": "float32", "kind": "case",
    "error": 0.0, "bound": 1e-6, "fault": "", "problem": "", "refused": "",
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"error": 1.0},
        {"error": float("nan")},
        {"error": None},
        {"error": "0"},
        {"kernel": "\x1b[2J"},
        {"kernel": "[red]double"},
        {"case": "x" * 10_000},
        {"kind": "other"},
        {"more": 1},
    ],
)
def test_an_answer_of_another_form_is_none(change: dict[str, Any]) -> None:
    Answer.model_validate(GOOD)
    with pytest.raises(ValidationError):
        Answer.model_validate(GOOD | change)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 100_000,
        b'"token"',
        b'{"token": "other", "kind": "done", "content": null}',
        b'{"token": "t", "kind": "done", "content": 1}',
        b'{"token": "t", "kind": [], "content": 1}',
        b'{"token": "t", "kind": "status", "content": "0"}',
        b'{"token": "t", "kind": "status", "content": ' + b"9" * 5000 + b"}",
        b'{"token": "t", "kind": "error", "content": {}}',
        b"\xff",
    ],
)
def test_a_line_of_another_form_ends_the_check(line: bytes) -> None:
    with pytest.raises(Ended, match="something other than its answers"):
        list(isolation._answers([line], "t", LIMITS, print))


@pytest.mark.parametrize("status", [-1, -999, 2**70, -(2**70), 0])
def test_a_status_that_no_process_has_is_no_crash_of_ours(status: int) -> None:
    line = json.dumps({"token": "t", "kind": "status", "content": status}).encode()
    with pytest.raises(Ended):
        list(isolation._answers([line], "t", LIMITS, print))


def test_text_cannot_steer_a_terminal() -> None:
    assert Answer.model_validate(GOOD | {"problem": "\x1b[2Jgone"}).problem == r"\x1b[2Jgone"


def test_only_what_is_listed_is_kept_of_the_environment(tmp_path: Path) -> None:
    given = {"PATH": "p", "AWS_SECRET_ACCESS_KEY": "s", "OMP_NUM_THREADS": "2", "HOME": "/home/me"}
    kept = environment(given | {"CLAIMBENCH_CACHE": "c", "PYTHONPATH": "a"}, str(tmp_path))
    assert kept.pop("PYTHONUSERBASE")
    assert kept == {
        "PATH": "p",
        "OMP_NUM_THREADS": "2",
        "CLAIMBENCH_CACHE": "c",
        "PYTHONPATH": os.path.abspath("a"),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }


def test_a_module_that_cannot_be_run_is_named() -> None:
    tell: Callable[[str], None] = lambda _: None  # noqa: E731
    with pytest.raises(
        Ended, match=r"left with exit code 1; it last said: .*No module named nowhe"
    ):
        list(answers("nowhere", {}, LIMITS, tell))
