"""How an answer is run: within limits of time and memory, apart from the notebook's output and state, and watched."""

import contextlib
import copy
import ctypes
import dis
import functools
import inspect
import pickle
import random
import signal
import sys
import threading
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, no_type_check

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.utils.capture import capture_output
from torch import Tensor
from torch.overrides import TorchFunctionMode

SECONDS = 5.0  # for one call; a right answer takes milliseconds
LARGEST = 2**29  # bytes
TOO_SLOW = f"was stopped after {SECONDS:g} seconds. Does a loop never end?"
TOO_LARGE = f"asked for more than {LARGEST / 2**30:g} GiB of memory. Look at the shapes that it makes."
NOT_DONE = "not done yet. Replace the ... by your code and run the cell again."
NOTHING = "your function returned nothing. Is a `return` missing?"
MEMORY = Path("/proc/self/statm")  # of this process; on Linux only
JUMPS = {*dis.hasjrel, *dis.hasjabs}
STATE: dict[str, tuple[Callable, Callable]] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (torch.get_default_device, torch.set_default_device),
    "whether torch records gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's random state": (lambda: torch.get_rng_state().numpy(), lambda s: torch.set_rng_state(torch.tensor(s))),
    "NumPy's random state": (np.random.get_state, np.random.set_state),
    "Python's random state": (random.getstate, random.setstate),
}


class Stopped(BaseException):
    """Ends an answer. Not an Exception, which the answer might catch."""


@dataclass
class Record:
    """What an answer did."""

    problem: str = ""  # why it has no result
    remarks: dict[str, str] = field(default_factory=dict)  # what else the student should know, by kind
    names: set[str] = field(default_factory=set)  # of the functions that it called, and of all of torch's
    calls: int = 0  # of functions written beside it, itself included
    loops: bool = False  # in one of these
    tensors: deque[Tensor] = field(default_factory=lambda: deque(maxlen=10_000))  # the small results of torch


@no_type_check
def call(function: Callable, arguments: dict[str, Any]) -> Any:
    """Pass the arguments by name, or in their order where the function's parameters have other names."""
    try:
        inspect.signature(function).bind(**arguments)
    except (TypeError, ValueError):
        return function(*arguments.values())
    return function(**arguments)


def run(function: Callable, arguments: dict[str, Any]) -> tuple[Any, Record]:
    """The function's result, ... where there is none, and what it did. Raises nothing but KeyboardInterrupt."""
    record, given, result = Record(), copy.deepcopy(arguments), None
    try:
        with apart(record), _memory_limit(), _Tensors(record), _watched(function, record), _time_limit():
            result = call(function, given)
    except KeyboardInterrupt:
        raise
    except Stopped as reason:
        record.problem = f"your function {str(reason) or TOO_SLOW}"
    except BaseException as error:
        said = "".join(traceback.format_exception_only(error)).splitlines()[0].rstrip(".")
        record.problem = f"your function raised {said[:200]}."
        if isinstance(error, MemoryError) or "allocate memory" in said:
            record.problem = f"your function {TOO_LARGE}"
        elif said == "NotImplementedError":  # torch's own says what is not implemented
            record.problem = NOT_DONE
    if not record.problem and (result is None or result is ...):
        code = getattr(function, "__code__", call.__code__).co_code
        stub = result is ... or len(code) <= 8  # bytes, four instructions: it returns and does nothing else
        record.problem = NOT_DONE if stub else NOTHING
    elif not record.problem and any(_changed(value, given[name]) for name, value in arguments.items()):
        record.problem = "your function changed its input. Work on a copy, or avoid in-place operations."
    return (... if record.problem else result), record


def _changed(one: Any, other: Any) -> bool:
    return not torch.equal(one, other) if isinstance(one, Tensor) else one != other


@contextlib.contextmanager
def apart(record: Record) -> Iterator[None]:
    """Keep what is printed and drawn out of the notebook, and put back what is changed for the whole of it."""
    before = {what: pickle.dumps(get()) for what, (get, _) in STATE.items()}
    figures = plt.get_fignums()
    try:
        with capture_output() as captured:
            yield
    finally:
        drawn = [number for number in plt.get_fignums() if number not in figures]
        for number in drawn:
            plt.close(number)
        if drawn or captured.outputs:
            record.remarks["drawn"] = "\nYour function drew something; it is not shown."
        if captured.stdout:
            record.remarks["printed"] = f"\nYour function printed, at first:\n{captured.stdout[:1000].rstrip()}"
        for what, (get, put) in STATE.items():
            if pickle.dumps(get()) != before[what]:
                put(pickle.loads(before[what]))
                record.remarks[what] = f"\nYour function changed {what}; it was changed back."


@no_type_check
def _stop(number, frame):
    """Raise Stopped in the answer, and once more at its next line, which may be in an `except:`."""
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    frames = []
    while frame and frame.f_code is not call.__code__:
        frames.append(frame)
        frame = frame.f_back
    if frame:  # else it has just ended
        for one in frames:
            one.f_trace = _stop_again
        sys.settrace(lambda *_: None)
        raise Stopped


@no_type_check
def _stop_again(frame, event, value):
    if event == "line":
        raise Stopped
    return _stop_again


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raise Stopped after SECONDS, and again and again, should the answer catch it."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        with _time_limit_by_thread():
            yield
        return
    before, tracing = signal.signal(signal.SIGALRM, _stop), sys.gettrace()
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.settrace(tracing)


@contextlib.contextmanager
def _time_limit_by_thread() -> Iterator[None]:
    """On Windows and in other threads than the first, Stopped is raised between two of the answer's instructions."""
    here, reason = ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Stopped)
    timer = threading.Timer(SECONDS, ctypes.pythonapi.PyThreadState_SetAsyncExc, (here, reason))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextlib.contextmanager
def _memory_limit() -> Iterator[None]:
    """On Linux, let the process grow by no more than LARGEST; elsewhere only single tensors are limited."""
    if not MEMORY.exists():
        yield
        return
    import resource  # not on Windows

    torch.ones(2**20).exp_()  # starts torch's threads: if their memory were refused, the kernel would die
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held = int(MEMORY.read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (held + LARGEST, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@no_type_check  # the checks of annotations are functions of torch themselves
class _Tensors(TorchFunctionMode):
    """Records which of torch's functions are called, and what they return."""

    def __init__(self, record: Record):
        self.record = record

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.record.names.add(getattr(func, "__name__", ""))
        if isinstance(result, Tensor):
            if result.numel() * result.element_size() >= LARGEST:
                raise Stopped(TOO_LARGE)
            if result.numel() < 2**17:
                self.record.tensors.append(result)
        return result


@no_type_check
@contextlib.contextmanager
def _watched(function: Callable, record: Record) -> Iterator[None]:
    """Record the calls of all functions, and end the answer where it calls the library."""
    own, before = getattr(inspect.unwrap(function), "__globals__", None), sys.getprofile()

    def watch(frame: types.FrameType, event: str, called: Any) -> None:
        caller = frame if event == "c_call" else frame.f_back
        if event in ("call", "c_call") and caller and caller.f_globals is own:  # not what, say, an import calls
            record.names.add(getattr(called, "__name__", "") if event == "c_call" else frame.f_code.co_name)
        if event == "call":
            name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
            if name == "ask_exit":
                raise Stopped("called exit(), which ends the notebook. Return a result instead.")
            if frame.f_globals is own:
                record.calls += 1
                record.loops = record.loops or _has_loop(frame.f_code)
            elif module.startswith("tasnlib.") and not module.startswith("tasnlib.course."):
                raise Stopped(f"called `{name}` of tasnlib. Write it yourself, without the library.")

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


@functools.cache
def _has_loop(code: types.CodeType) -> bool:
    """Does it jump back? (NO_INTERRUPT: back from the end of an `except`, or of an `await`.)"""
    jumps = (one for one in dis.get_instructions(code) if one.opcode in JUMPS and "NO_INTERRUPT" not in one.opname)
    return any(one.argval < one.offset for one in jumps)
