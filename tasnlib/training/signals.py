"""Ctrl-C in the middle of training: the step is completed and saved first."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def deferred_interrupt(enabled: bool = True) -> Iterator[Callable[[], bool]]:
    """Defer the first Ctrl-C, so that a step can be completed and saved; a second one acts at once.

    Yields a function: was it pressed? Raises KeyboardInterrupt at the second Ctrl-C, or at the end after the first one.
    Does nothing if Ctrl-C is already handled or ignored, or outside the main thread.
    """
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # Only the main thread may set a handler.
    if not enabled or not usual or threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(*_: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed.is_set():
        raise KeyboardInterrupt


def ignore_interrupt(worker: int) -> None:
    """For a data loader's workers: a terminal sends them Ctrl-C too, while the training process still needs them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
