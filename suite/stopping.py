"""Stopping: a command that is told to end does so in order, and says with which signal it did.

Python hears a signal between two steps of its own. Where the main thread is in compiled code for
long, another thread waits a while for the order, and then ends the process without it: what is on
record is on the disk, and a lock ends with its process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 10.0
TOLD = "stopped; the same command goes on from here"


class Stopped(BaseException):
    """Raised where a signal found the main thread; no handler of errors takes it for one."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = _exit_code(number)


def _exit_code(number: int) -> int:
    """As shells have it."""
    return 128 + number


@contextmanager
def on_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM, with which CI cancels, raise `Stopped` in here.

    A signal that who started this wants ignored, as `nohup` and a shell's `&` do, still is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    hook = threading.excepthook
    with _watched(heeded):
        before = {number: signal.signal(number, _stop) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            threading.excepthook = hook


def _stop(number: int, frame: FrameType | None) -> None:
    # Threads of a library whose workers end in the middle of anything have nothing new to tell.
    threading.excepthook = lambda told: None
    raise Stopped(number)


@contextmanager
def _watched(numbers: Collection[int]) -> Iterator[None]:
    """End the process if one of these signals comes and this is not left soon after."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    left = threading.Event()
    threading.Thread(target=_watch, args=(reader, numbers, left), daemon=True).start()
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        os.close(writer)


def _watch(reader: int, numbers: Collection[int], left: threading.Event) -> None:
    while said := os.read(reader, 1):  # the number of a signal, from Python's own handler
        if said[0] in numbers and not left.wait(GRACE_S):
            _end_at_once(said[0])
    os.close(reader)


def _end_at_once(number: int) -> None:
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()
    print(TOLD, file=sys.stderr, flush=True)
    os._exit(_exit_code(number))
