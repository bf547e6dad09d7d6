"""What is written is whole or as it was: on a full disk, and where a process was killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claimbench.suite import writing
from claimbench.suite.writing import PREFIX, add_line, whole_folder, write

LIMITED = """
import resource, sys
from pathlib import Path
from claimbench.suite.writing import add_line, whole_folder, write

path, limit, do = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    if do == "add_line":
        add_line(path, b"second" * 1000 + b"\\n")
    elif do == "write":
        write(path, "new" * 10_000)
    else:
        with whole_folder(path) as folder:
            (folder / "small").write_text("new")
            (folder / "large").write_text("new" * 10_000)
except OSError as e:
    sys.exit(str(e))
"""


def limited(path: Path, limit: int, do: str) -> str:
    """What is said by a process in which no file may grow beyond some bytes."""
    command = [sys.executable, "-c", LIMITED, str(path), str(limit), do]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    add_line(path, b"first\n")
    said = limited(path, 1000, "add_line")
    assert f"{path} cannot be written (File too large)" in said
    assert path.read_bytes() == b"first\n"
    add_line(path, b"second\n")
    assert path.read_bytes() == b"first\nsecond\n"


@pytest.mark.parametrize("taken", [0, 1, 5, 6])
def test_a_disk_that_is_full_after_some_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """At 6 bytes the line is in the file and the disk refuses to keep it."""
    path = tmp_path / "a.jsonl"
    add_line(path, b"first\n")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def part(file: Any, content: bytes) -> None:
        file.write(content[:taken])
        full()

    with monkeypatch.context() as patched:
        if taken < 6:
            patched.setattr(writing, "_write_all", part)
        else:
            patched.setattr(writing.os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device.*repeat the command"):
            add_line(path, b"second")
    assert path.read_bytes() == b"first\n"


@pytest.mark.parametrize("half", [b"{", b"x" * 3 * writing.BLOCK, b'{"whole": 1}'])
@pytest.mark.parametrize("before", [b"", b"first\n", b"first\n" * 50_000])
def test_half_a_line_that_was_left_goes_first(tmp_path: Path, before: bytes, half: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(before + half)
    add_line(path, b"second\n")
    assert path.read_bytes() == before + b"second\n"


def test_lines_of_several_processes_are_all_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = (
        "import sys; from pathlib import Path; from claimbench.suite.writing import add_line\n"
        "for i in range(50): add_line(Path(sys.argv[1]), sys.argv[2].encode() * 9999 + b'\\n')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = path.read_bytes().split(b"\n")[:-1]
    assert sorted(lines) == [name * 9999 for name in (b"a", b"b", b"c") for _ in range(50)]


def test_a_file_that_does_not_fit_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, "old")
    assert f"{path} cannot be written (File too large)" in limited(path, 1000, "write")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_does_not_fit_leaves_the_last_one(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as folder:
        (folder / "small").write_text("old")
    said = limited(tmp_path / "out", 1000, "whole_folder")
    assert "out cannot be written (File too large" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small"]
    assert (tmp_path / "out" / "small").read_text() == "old"


def test_what_a_killed_process_left_is_removed_and_what_another_is_at_stays(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from claimbench.suite.writing import _new_file, _unfinished, whole_folder\n"
        "with whole_folder(Path(sys.argv[1])) as made, _unfinished(Path(sys.argv[1]), _new_file):\n"
        "    (made / 'page').touch()\n"
        "    print(flush=True)\n"
        "    time.sleep(100)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        write(tmp_path / "a.json", "one")
        assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 2
        other.send_signal(signal.SIGKILL)
        other.wait()
    write(tmp_path / "a.json", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_link_stays_one_and_a_device_is_written_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a.json")
    write(tmp_path / "link", "one")
    assert (tmp_path / "a.json").read_text() == "one"
    assert (tmp_path / "link").is_symlink()
    write(Path(os.devnull), "nothing")
    assert Path(os.devnull).is_char_device()


def test_a_file_has_the_mode_that_files_have(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write(tmp_path / "a.json", "one")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_system_without_locks_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(handle: int, blocking: bool) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(writing, "lock_descriptor", none_here)
    (tmp_path / f"{PREFIX}of-another").touch()
    add_line(tmp_path / "a.jsonl", b"first\n")
    write(tmp_path / "a.json", "one")
    with whole_folder(tmp_path) as folder:
        (folder / "page").touch()
    names = [f"{PREFIX}of-another", "a.json", "a.jsonl", "page"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
