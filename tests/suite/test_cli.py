"""What a user meets: messages, JSON and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from claimbench.suite import claim_commands, cli, locks, records
from claimbench.suite.claim_commands import span
from claimbench.suite.definitions import DefinitionError
from claimbench.suite.run_command import _with_tier

from . import toys

COMMAND = [sys.executable, "-m", "claimbench.suite"]
TEMPLATE = Path(__file__).parents[2] / "suite" / "claim_template.toml"


def claimbench(
    *arguments: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("CLAIMBENCH_")}
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**env, "COLUMNS": "200", "CLAIMBENCH_CACHE": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = claimbench("--help", folder=tmp_path).stdout
    for command in ["list", "describe", "check", "data", "run", "kernels", "report", "gate", "new"]:
        assert command in shown


def test_list_knows_the_four_claims_and_what_they_cost(tmp_path: Path) -> None:
    shown = claimbench("list", "--json", folder=tmp_path)
    claims: list[dict[str, Any]] = json.loads(shown.stdout)
    assert len(claims) >= 4
    assert all(claim["tiers"]["smoke"] > 0 for claim in claims)
    assert claimbench("list", "--tag", "uci", folder=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "arora2020_ntk_beats_forest"], "did you mean 'arora2020_ntk_beats_forests'?"),
        (["run", "no_such"], "no claim is called 'no_such'"),
        (["run", "--method", "no_such"], "no method is called 'no_such'"),
        (["list", "--tag", "no_such"], "no tag is called 'no_such'"),
        (["kernels", "check", "ntk_gran"], "did you mean 'ntk_gram'?"),
        (["data", "fetch", "ciphar10"], "did you mean 'cifar10'?"),
        (["run", "--tier", "huge"], "Invalid value for '--tier'"),
        (["nonsense"], "No such command"),
        (["gate", "no_such_commit", "HEAD"], "no_such_commit"),
        (["results", "merge", "no_such_folder", "--out", "out"], "'no_such_folder' does not exist"),
    ],
)
def test_wrong_usage_is_2_and_says_the_way_out(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = claimbench(*arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_claim_is_not_run_at_a_tier_that_it_has_not() -> None:
    toy = toys.claim()
    with pytest.raises(DefinitionError, match="toy: there is no tier 'full'"):
        _with_tier([toy], "full", named=True)
    assert _with_tier([toy], "smoke", named=True) == [toy]


def test_check_tells_all_errors_of_all_files(tmp_path: Path) -> None:
    text = TEMPLATE.read_text()
    (tmp_path / "one.toml").write_text(text.replace("ntk_gram", "ntk_gramm"))
    (tmp_path / "two.toml").write_text(text.replace("trials = 1", "trials = 0"))
    done = claimbench("check", ".", folder=tmp_path)
    assert done.returncode == 2
    assert "one.toml:3:1: kernel:" in done.stderr
    assert "two.toml:" in done.stderr
    assert claimbench("check", folder=tmp_path).returncode == 0


def test_check_of_nothing_is_not_good(tmp_path: Path) -> None:
    assert claimbench("check", ".", folder=tmp_path).returncode == 2


def test_data_that_are_not_here_are_4_and_named(tmp_path: Path) -> None:
    done = claimbench("run", "--tier", "quick", folder=tmp_path)
    assert done.returncode == 4
    assert "claimbench data fetch" in done.stderr
    assert not list(tmp_path.glob("results/*.jsonl"))


def test_a_gpu_that_is_not_here_is_4(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = claimbench("run", "--device", "cuda", folder=tmp_path)
    assert (done.returncode, "no CUDA device" in done.stderr) == (4, True)


def test_a_results_folder_that_cannot_be_written_is_4(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    done = claimbench("run", folder=tmp_path)
    assert done.returncode == 4
    assert "results" in done.stderr
    assert "Traceback" not in done.stderr


UCI = "arora2020_ntk_beats_forests"


def test_a_second_writer_is_told_of_the_first_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    with locks.held(tmp_path / "results", "--results"):
        before = {path: path.read_bytes() for path in (tmp_path / "results").iterdir()}
        run = claimbench("run", UCI, "--method", "ntk_svm", folder=tmp_path)
        merge = claimbench("results", "merge", "more", "--out", "results", folder=tmp_path)
        assert claimbench("list", folder=tmp_path).returncode == 0
        after = {path: path.read_bytes() for path in (tmp_path / "results").iterdir()}
    for done, option in ((run, "--results"), (merge, "--out")):
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith("claimbench: results is in use: `claimbench")
        assert f"(process {os.getpid()} on " in done.stderr
        assert f"choose another folder with {option}\n" in done.stderr
        assert done.stderr.count("\n") == 1
    assert after == before
    assert claimbench("run", UCI, "--method", "ntk_svm", folder=tmp_path).returncode == 3


def on_a_small_disk(size: int, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command where no file may grow beyond a size, with which the system refuses the rest."""
    limited = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "
        "sys.argv[0] = 'claimbench'; from claimbench.suite.cli import main; main()"
    )
    command = [sys.executable, "-c", limited, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_full_disk_is_4_and_the_same_command_goes_on(tmp_path: Path) -> None:
    done = on_a_small_disk(3000, "run", UCI, "--method", "ntk_svm", folder=tmp_path)
    assert done.returncode == 4
    assert ".jsonl cannot be written (File too large); what was in it before" in done.stderr
    assert "Traceback" not in done.stderr
    [path] = (tmp_path / "results").iterdir()
    kept = path.read_bytes()
    assert kept.endswith(b"\n")
    again = claimbench("run", UCI, "--method", "ntk_svm", folder=tmp_path)
    whole = kept.count(b"\n")
    assert f"{whole} on record" in again.stderr
    assert path.read_bytes() == kept


def test_one_method_alone_is_not_measured(tmp_path: Path) -> None:
    done = claimbench("run", UCI, "--method", "ntk_svm", "--json", folder=tmp_path)
    assert done.returncode == 3
    [verdict] = json.loads(done.stdout)
    assert verdict["outcome"] == "not measured"
    again = claimbench("run", UCI, "--method", "ntk_svm", folder=tmp_path)
    assert "0 to run" in again.stderr


def test_a_killed_run_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [*COMMAND, "run", UCI, "--method", "ntk_svm", "--backend", "reference"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (files := list(tmp_path.glob("results/*.jsonl"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = files[0].read_bytes().count(b"\n")
    done = claimbench("run", UCI, "--method", "ntk_svm", "--backend", "reference", folder=tmp_path)
    assert f"{before} on record" in done.stderr
    assert f"{4 - before} to run" in done.stderr


def workers(run: subprocess.Popen[Any]) -> list[psutil.Process]:
    """The processes that a run has started to measure in."""
    found = psutil.Process(run.pid).children(recursive=True)
    return [process for process in found if "tracker" not in " ".join(process.cmdline())]


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "run", UCI, "--method", "ntk_svm", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        yield run
        run.kill()


def some_workers(run: subprocess.Popen[Any]) -> list[psutil.Process]:
    """Those that are there once there are any."""
    while run.poll() is None:
        with suppress(psutil.Error):
            if found := workers(run):
                return found
        time.sleep(0.02)
    return []


def test_killed_workers_are_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    with running(tmp_path, "--jobs", "2") as run:
        killed = some_workers(run)
        for worker in killed:
            worker.kill()
        _, said = run.communicate()
    assert killed
    assert run.returncode == 3, said
    assert len(records.read(tmp_path / "results")) == 4
    assert "Traceback" not in said


DIE = """
import os, signal, sys
if any("popen_loky" in argument for argument in sys.orig_argv):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "--jobs", "2") as run:
        orphans = some_workers(run)
        run.kill()
    assert orphans
    assert not psutil.wait_procs(orphans, timeout=60)[1]


def test_workers_that_are_always_killed_end_the_run_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(DIE)
    arguments = ["run", UCI, "--method", "ntk_svm", "--jobs", "2"]
    done = claimbench(*arguments, folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 4, done.stderr
    assert "the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert records.read(tmp_path / "results") == []
    assert not list((tmp_path / "results").glob(".*"))


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_does_so_in_order(
    tmp_path: Path, jobs: str, number: signal.Signals, code: int
) -> None:
    with running(tmp_path, "--jobs", jobs) as run:
        assert run.stderr
        assert "4 to run" in run.stderr.readline()
        started = some_workers(run) if jobs == "2" else []
        run.send_signal(number)
        said = run.communicate()[1]
    assert "stopped; the same command goes on from here" in said.splitlines()
    assert run.returncode == code
    psutil.wait_procs(started, timeout=10)
    assert not any(worker.is_running() for worker in started)
    assert not (tmp_path / "results" / locks.FILE).exists()
    assert "Traceback" not in said


def test_a_fresh_report_says_that_nothing_is_measured(tmp_path: Path) -> None:
    done = claimbench("report", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not measured" in (tmp_path / "html" / "index.html").read_text()


def test_a_report_for_which_there_is_no_room_leaves_the_last_one(tmp_path: Path) -> None:
    assert claimbench("report", folder=tmp_path).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("html/**/*") if path.is_file()}
    done = on_a_small_disk(20_000, "report", folder=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("claimbench: html cannot be written (File too large")
    assert done.stderr.count("\n") == 1
    assert {p: p.read_bytes() for p in tmp_path.rglob("html/**/*") if p.is_file()} == before
    assert not list((tmp_path / "html").glob(".*"))


def test_a_gate_over_nothing_is_never_green(tmp_path: Path) -> None:
    git = shutil.which("git")
    assert git
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "one"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "two"],
    ):
        subprocess.run([git, *command], cwd=tmp_path, check=True)
    done = claimbench("gate", "HEAD~1", "HEAD", folder=tmp_path)
    assert done.returncode == 3, done.stderr


def test_a_new_claim_is_right_from_the_start(tmp_path: Path) -> None:
    made = claimbench("new", "claim", "me2026_something", "--folder", ".", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert claimbench("check", "me2026_something.toml", folder=tmp_path).returncode == 0
    again = claimbench("new", "claim", "me2026_something", "--folder", ".", folder=tmp_path)
    assert (again.returncode, "exists" in again.stderr) == (2, True)


def test_kernels_are_listed_with_their_claims(tmp_path: Path) -> None:
    rows = json.loads(claimbench("kernels", "list", "--json", folder=tmp_path).stdout)
    by_name = {row["kernel"]: row for row in rows}
    assert UCI in by_name["ntk_gram"]["claims"]
    assert "reference" in by_name["cntk_gram"]["backends"]


def test_a_backend_that_runs_nowhere_here_was_not_checked(tmp_path: Path) -> None:
    done = claimbench("kernels", "check", "ntk_gram", "--backend", "triton", folder=tmp_path)
    assert done.returncode in (3, 0)
    assert claimbench("kernels", "check", "ntk_gram", "--backend", "x", folder=tmp_path).returncode


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(3, "3 s"), (599, "599 s"), (1020, "17 min"), (10_800, "3 h"), (4e7, "463 days"),
     (7e9, "222 years")],
)  # fmt: skip
def test_a_cost_is_told_in_the_unit_that_a_reader_would_choose(seconds: float, wanted: str) -> None:
    assert span(seconds) == wanted


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_any_command_that_is_told_to_stop_says_so(
    number: signal.Signals,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(claim_commands, "list_claims", lambda *_: signal.raise_signal(number))
    monkeypatch.setattr(sys, "argv", ["claimbench", "list"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "stopped; the same command goes on from here\n"
