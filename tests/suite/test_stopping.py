"""A signal stops what it finds, in order where that is possible, and soon in any case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from claimbench.suite import stopping
from claimbench.suite.stopping import TOLD, Stopped, on_signals

BUSY = """
import hashlib, subprocess, sys
from claimbench.suite import stopping
stopping.GRACE_S = 0.2
with stopping.on_signals():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    print(child.pid, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # compiled code that takes minutes
"""


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_an_exception_with_its_exit_code(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught, on_signals():
        signal.raise_signal(number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before
    assert not isinstance(caught.value, Exception)


def test_compiled_code_is_not_waited_for() -> None:
    command = [sys.executable, "-c", BUSY]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as run:
        assert run.stdout
        child = psutil.Process(int(run.stdout.readline()))
        time.sleep(0.2)
        run.send_signal(signal.SIGTERM)
        said = run.communicate(timeout=60)[1]
    assert (run.returncode, said) == (143, f"{TOLD}\n")
    assert child not in psutil.wait_procs([child], timeout=10)[1]


def test_what_is_ignored_stays_ignored_and_threads_are_left_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with on_signals():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    entered: list[bool] = []

    def elsewhere() -> None:
        with on_signals():
            entered.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert entered


def test_nothing_is_left_behind() -> None:
    def here() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    before = here()
    for _ in range(5):
        with on_signals():
            pass
    deadline = time.monotonic() + 10
    while here() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert here() == before
    assert signal.set_wakeup_fd(-1) == -1
    assert stopping.GRACE_S > 1
