"""One writer in a folder; the second is told who the first is, whatever is in the lock's file."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from claimbench.suite import locks, writing
from claimbench.suite.locks import FILE, Held, Owner, held

HOLD = """
import sys, time
from pathlib import Path
from claimbench.suite.locks import held
with held(Path(sys.argv[1]), "--results"):
    print(flush=True)
    time.sleep(100)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of a folder."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        yield other
        other.kill()


def refused(folder: Path) -> str:
    with pytest.raises(Held) as caught, held(folder, "--results"):
        pass
    return str(caught.value)


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    with holder(tmp_path / "results") as other:
        said = refused(tmp_path / "results")
    who = f"`claimbench {tmp_path / 'results'}` (process {other.pid} on {platform.node()})"
    assert said.startswith(f"{tmp_path / 'results'} is in use: {who} has been writing there since ")
    assert " UTC, for 0 s; wait until it has ended, or choose another folder with --res" in said
    with held(tmp_path / "results", "--results"):
        pass
    assert not list((tmp_path / "results").iterdir())


def test_a_lock_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with held(tmp_path, "--results"):
            assert json.loads((tmp_path / FILE).read_bytes())["pid"] == os.getpid()


TICKS = 1e6


def owner(**replaced: Any) -> dict[str, Any]:
    facts = {"pid": 7, "host": "elsewhere", "command": "claimbench run"}
    times = {"since": str(datetime.now(UTC) - timedelta(hours=3)), "ticks": TICKS - 90}
    return facts | times | replaced


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        (owner(), r"on elsewhere\) has been writing there since .* UTC, for 3 h;"),
        (owner(host=platform.node()), "for 90 s;"),
        (owner(since=str(datetime.now(UTC) + timedelta(days=9))), "the clock has been set since;"),
        (owner(host=platform.node(), ticks=1e300), "the clock has been set since;"),
        (owner(since="0001-01-01T00:00:00Z"), "for 20[0-9][0-9] years;"),
    ],
)
def test_how_long_is_never_less_than_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], wanted: str
) -> None:
    monkeypatch.setattr(locks.time, "monotonic", lambda: TICKS)
    with held(tmp_path, "--results"):
        (tmp_path / FILE).write_text(json.dumps(facts))
        with pytest.raises(Held, match=wanted), held(tmp_path, "--results"):
            pass


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00" * 50_000,
        b"[" * 100_000,
        json.dumps(owner(command="\x1b[2Jclaimbench run")).encode(),
        json.dumps(owner(host="here\nclaimbench: all is well")).encode(),
        json.dumps(owner(command="\N{RIGHT-TO-LEFT OVERRIDE}nur")).encode(),
        json.dumps(owner(command="x" * 2000)).encode(),
        json.dumps(owner(pid=-1)).encode(),
        json.dumps(owner(pid="7" * 5000)).encode(),
        json.dumps(owner(since="yesterday")).encode(),
        json.dumps(owner(since="99999-01-01T00:00:00Z")).encode(),
        json.dumps(owner() | {"ticks": float("nan")}).encode(),
        json.dumps(owner(more=1)).encode(),
    ],
)
def test_garbage_in_a_lock_is_not_repeated(tmp_path: Path, content: bytes) -> None:
    with held(tmp_path, "--results"):
        (tmp_path / FILE).write_bytes(content)
        said = refused(tmp_path)
    assert "is in use: another process, of which no more is known" in said
    assert said.isprintable()


@pytest.mark.parametrize("content", [b"", b"\xff\x00" * 50_000, b'{"pid": 1}'])
def test_what_is_in_a_file_that_nobody_holds_is_no_lock(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with held(tmp_path, "--results"):
        assert json.loads((tmp_path / FILE).read_bytes())["pid"] == os.getpid()


def test_a_command_that_could_steer_a_terminal_is_spelt_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["claimbench", "run", "\x1b[2J\nall is well" + "x" * 2000])
    with held(tmp_path, "--results"):
        made = Owner.model_validate_json((tmp_path / FILE).read_bytes())
    assert made.command.startswith(r"claimbench run '\x1b[2J\nall is well")


@pytest.mark.parametrize("link", [False, True])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, link: bool) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file"
    if link:
        path = tmp_path / "link"
        path.symlink_to("file")
    for place in (path, path / "results"):
        with (
            pytest.raises(OSError, match=r"cannot be written .*choose another folder with --out"),
            held(place, "--out"),
        ):
            pass


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / FILE).symlink_to("precious")
    with pytest.raises(OSError, match="cannot be written"), held(tmp_path, "--results"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize("call", ["fsync", "pwrite"])
def test_a_folder_that_keeps_nothing_is_named_and_left_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(locks.os, call, fail)
        with (
            pytest.raises(OSError, match=r"cannot be written \(Input/output error\); choose"),
            held(tmp_path, "--results"),
        ):
            pass
    assert not list(tmp_path.iterdir())
    with held(tmp_path, "--results"):
        pass


def test_without_locks_there_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writing, "lock", lambda handle, wait=False: None)
    with held(tmp_path, "--results"):
        pass
    assert "knows no locks" in capsys.readouterr().err


def test_a_file_that_was_put_in_the_lock_s_place_stays(tmp_path: Path) -> None:
    """Somebody removed the file, and another has locked a new one since."""
    with held(tmp_path, "--results"):
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).write_text("of another")
    assert (tmp_path / FILE).read_text() == "of another"
