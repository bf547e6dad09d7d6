"""Runs a module that is not trusted in a process that gets little of the machine, for some time.

    here                 launcher              keeper                  worker
    plan on stdin  --->  own session,   --->   first process of  --->  the module, with the limits
                         namespaces            its namespace           and a bare environment
         <------------------- lines of JSON on one pipe -------------------

The launcher cannot be reached from inside the namespaces, and when the keeper ends, all that was
started inside ends too. Every line carries a token that is in no environment and on no command
line; a line without it is no answer, and ends the whole. `SECURITY.md` says what this is good for,
and what it is not: the worker's own answers come from a process in which the strange code ran.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import secrets
import select
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from .inert import inert
from .threads import thread_limits

KEPT = {
    "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH",
    "PYTHONDONTWRITEBYTECODE", "TRITON_INTERPRET", *thread_limits(1),
}  # fmt: skip
"""Variables that a worker gets as they are here, beside those that begin with `CLAIMBENCH_`."""

OPEN_FILES = 512
FILE_BYTES = 2**30
PROCESSES = 4096  # threads count; of everything inside the namespace together
ANSWER_BYTES = 2**24  # of all lines of a worker
LONGEST_SAID = 500  # characters of an error, or of its last line on stderr

CONTENTS: dict[str, type] = {
    "without": str, "answer": object, "error": str, "done": type(None), "status": int,
}  # fmt: skip
"""What a line of each kind holds: what is not granted, an answer, its failure, its end, and how."""

# From linux/sched.h and linux/prctl.h.
NAMESPACES = {"user": 0x10000000, "network": 0x40000000, "pid": 0x20000000, "ipc": 0x08000000}
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True)
class Limits:
    """What a worker may use.

    Attributes:
        seconds: of elapsed time, for the whole; and for each processor, of processor time.
        memory_gib: address space of each process; `None` for no limit, as CUDA needs.
    """

    seconds: float
    memory_gib: float | None


class Ended(RuntimeError):
    """A worker did not answer to its end; the message says why, in one line."""


def answers(module: str, task: Any, limits: Limits, tell: Callable[[str], None]) -> Iterator[Any]:
    """What `serve` in a module's `main` answers to a task, as it comes.

    Args:
        tell: is given each protection that this system does not grant.

    Raises:
        Ended: where the worker crashed, was stopped, left, or answered in another form.
        OSError: where no process can be started.
    """
    if sys.platform != "linux":
        raise OSError("only Linux can hold a process as --isolated does; use a virtual machine")
    source, target = os.pipe()
    token = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        open(os.path.join(folder, "stderr"), "w+b") as errors,
    ):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # what a kernel prints is no answer
            stderr=errors,
            pass_fds=[target],
            cwd=folder,
            env=environment(os.environ, folder),
            start_new_session=True,
        )
        os.close(target)
        try:
            _give(process, {
                "token": token, "answers": target, "module": module, "task": task,
                "seconds": limits.seconds, "memory_gib": limits.memory_gib,
            })  # fmt: skip
            yield from _answers(_lines(source, process.pid, limits.seconds), token, limits, tell)
        except Ended as ended:
            raise Ended(f"{ended}{_last_said(errors)}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(source)


def environment(variables: Mapping[str, str], folder: str) -> dict[str, str]:
    """What a worker sees of the environment: no token, no home, nothing that is not listed."""
    kept = {k: v for k, v in variables.items() if k in KEPT or k.startswith("CLAIMBENCH_")}
    paths = variables.get("PYTHONPATH", "").split(os.pathsep)
    return kept | {
        "HOME": folder,
        "TMPDIR": folder,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in paths if path),
        "PYTHONUSERBASE": site.getuserbase(),  # or it would be looked for in the new home
    }


def _give(process: subprocess.Popen[bytes], plan: dict[str, Any]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps(plan).encode())


def _lines(source: int, launcher: int, seconds: float) -> Iterator[bytes]:
    """Lines as they come, until the launcher has ended."""
    end, rest, total = time.monotonic() + seconds, b"", 0
    while (left := end - time.monotonic()) > 0:
        ended = os.waitid(os.P_PID, launcher, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        # Whoever else may hold the pipe open: what the launcher has not outlived is not waited for.
        if not select.select([source], [], [], 0 if ended else min(left, 0.2))[0]:
            if ended:
                return
            continue
        chunk = os.read(source, 2**16)
        if not chunk:
            return
        total += len(chunk)
        if total > ANSWER_BYTES:
            raise Ended(f"answered more than {ANSWER_BYTES // 2**20} MiB")
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    raise Ended(f"did not end within {seconds:g} s (--seconds)")


def _answers(
    lines: Iterable[bytes], token: str, limits: Limits, tell: Callable[[str], None]
) -> Iterator[Any]:
    done = False
    for line in lines:
        kind, content = _parsed(line, token)
        if kind == "answer":
            yield content
        elif kind == "without":
            tell(content)
        elif kind == "error":
            raise Ended(content.partition("\n")[0][:LONGEST_SAID])
        elif kind == "done":
            done = True
        elif kind == "status":
            if content or not done:
                raise Ended(_manner(content, limits) + (", after its answers" if done else ""))
            return
    raise Ended("ended without a word: it, or what kept it, was killed")


def _parsed(line: bytes, token: str) -> tuple[str, Any]:
    """Kind and content of a line; whoever knows the token may still write anything."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        content = json.loads(line)
        if content["token"] == token and content["kind"] in CONTENTS:
            kind, content = content["kind"], content["content"]
            if isinstance(content, CONTENTS[kind]):
                return kind, inert(content) if isinstance(content, str) else content
    raise Ended("something other than its answers was written to where they go")


def _manner(code: int, limits: Limits) -> str:
    """How a process ended: with a code, or by a signal, which is a negative one."""
    if code >= 0:
        return f"left with exit code {code}"
    if -code == signal.SIGXCPU:
        return f"used {_processor_seconds(limits.seconds)} s of processor time (--seconds)"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hints = {"SIGKILL": "out of memory, or out of processor time", "SIGSEGV": "a crash"}
    return f"was ended by {name}" + (f" ({hints[name]})" if name in hints else "")


def _processor_seconds(seconds: float) -> int:
    """Elapsed time on every processor: only what elapsed time fails to stop meets this."""
    return math.ceil(seconds * (os.cpu_count() or 1))


def _last_said(errors: Any) -> str:
    """The end of what went to stderr, where anything did."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - 4096))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f"; it last said: {inert(lines[-1])[:LONGEST_SAID]}" if lines else ""


# In the worker


def serve(answer: Callable[[Any], Iterable[Any]]) -> None:
    """Answer the task that stands on standard input."""
    plan = json.loads(sys.stdin.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.set_inheritable(plan["answers"], False)
    say = _voice(plan["answers"], plan["token"])
    try:
        for one in answer(plan["task"]):
            say("answer", one)
    except Exception as e:
        say("error", f"{type(e).__name__}: {e}")
    say("done", None)


def _voice(target: int, token: str) -> Callable[[str, Any], None]:
    def say(kind: str, content: Any) -> None:
        line = json.dumps({"token": token, "kind": kind, "content": content}) + "\n"
        os.write(target, line.encode())

    return say


# In the launcher


def main() -> None:
    """Give up what can be given up, then run the module of the plan and say how it ended."""
    text = sys.stdin.read()
    plan = json.loads(text)
    say = _voice(plan["answers"], plan["token"])
    _end_with_parent()
    if lacking := _enter_namespaces():
        say("without", lacking)
    keeper = os.fork()
    if keeper:
        os.waitpid(keeper, 0)
        return
    _end_with_parent()
    worker = os.fork()
    if not worker:
        _end_with_parent()
        _limit(plan["seconds"], plan["memory_gib"], alone=not lacking)
        _become(plan, text)
    while (ended := os.wait())[0] != worker:
        pass  # an orphan, which the first process of a namespace has to bury
    say("status", os.waitstatus_to_exitcode(ended[1]))
    os._exit(0)


def _enter_namespaces() -> str:
    """Leave the network, and be able to end all that is started; or why it cannot be."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(sum(NAMESPACES.values())) == 0:
        return ""
    reason = os.strerror(ctypes.get_errno())
    return (
        f"no namespaces for this user ({reason}): what runs can reach the network, read what other "
        "processes of this user were started with, and leave processes behind"
    )


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _become(plan: dict[str, Any], text: str) -> NoReturn:
    """The worker, which exec rids of what a new namespace gives, and denies what `sudo` would."""
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    source, target = os.pipe()
    os.write(target, text.encode())
    os.close(target)
    os.dup2(source, 0)
    os.execv(sys.executable, [sys.executable, "-P", "-m", plan["module"]])


def _limit(seconds: float, memory_gib: float | None, alone: bool) -> None:
    """Limits that hold for each process; a signal comes a second before processor time is over."""
    import resource  # not everywhere, and this module is imported everywhere

    processor = _processor_seconds(seconds)
    wanted = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (processor, processor + 1),
        resource.RLIMIT_FSIZE: (FILE_BYTES, FILE_BYTES),
        resource.RLIMIT_NOFILE: (OPEN_FILES, OPEN_FILES),
    }
    if memory_gib is not None:
        wanted[resource.RLIMIT_AS] = (int(memory_gib * 2**30),) * 2
    if alone:  # outside, all other processes of this user would count
        wanted[resource.RLIMIT_NPROC] = (PROCESSES, PROCESSES)
    for kind, limits in wanted.items():
        hard = resource.getrlimit(kind)[1]
        most = math.inf if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(kind, (int(min(limits[0], most)), int(min(limits[1], most))))


if __name__ == "__main__":
    main()
