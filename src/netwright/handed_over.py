"""What a person hands over from Python, looked at before a folder is made or a worker started.

A mistake is answered at the call, by the name of the argument, with what was given and what to give instead.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netwright.errors import UsageError
from netwright.search.executor import Evaluator, FunctionEvaluator
from netwright.search.strategy import Counting
from netwright.spaces.base import SearchSpace
from netwright.tasks import Kind

GUARD = """if __name__ == "__main__":"""

MAKERS = "netwright.from_tensors(images, labels), netwright.from_dataset(...) or netwright.load_images('images:DIR')"


def refuse_wrong_place() -> None:
    """Checks that worker processes can be started from where this is called.

    Raises:
        UsageError: This is a process that may have no children.
        SystemExit: This is a worker, which imports the script that started it: a sentence in place of a traceback, in a
            process that has nobody to catch an error.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):
        raise SystemExit(
            f"error: worker processes import the script that starts them, and must not start a search themselves; put "
            f"what starts it below\n  {GUARD}"
        )
    if process.daemon:
        raise UsageError(
            f"{process.name} is a daemonic process, which may start no workers, as those of multiprocessing.Pool are; "
            "use concurrent.futures.ProcessPoolExecutor, or a thread"
        )


def as_path(name: str, value: object) -> Path:
    """An argument that is a place.

    Raises:
        UsageError: It is none.
    """
    if isinstance(value, str | os.PathLike) and str(value):
        return Path(value)
    raise UsageError(f"{name}: expected a path, got {value!r}")


def refuse_settings_of_data(settings: Mapping[str, object]) -> None:
    """Data from Python are as they are: nothing is held out, limited or resized any more.

    Raises:
        UsageError: Somebody wants that.
    """
    if given := [path for path in settings if str(path).partition(".")[0] == "data"]:
        raise UsageError(
            f"{', '.join(given)}: do not apply to data=..., which is taken as it is; say it where the data are made, "
            "e.g. netwright.from_tensors(images, labels, validation=0.2)"
        )


def check_data(data: Any) -> None:
    """Checks data from Python.

    Raises:
        UsageError: They are none of ours.
    """
    if isinstance(data, str | os.PathLike):
        raise UsageError(
            f"data: expected data, got the text {str(data)!r}; a source is named by "
            f"settings={{'data.source': {str(data)!r}}}"
        )
    if isinstance(data, type) or any(not hasattr(data, name) for name in ("kind", "name", "share_memory")):
        raise UsageError(f"data: expected what {MAKERS} give, got {_kind(data)}")


def check_space(space: Any) -> None:
    """Checks a space from Python.

    Raises:
        UsageError: It is no search space.
    """
    if not isinstance(space, SearchSpace):
        raise UsageError(
            f"space: expected a SearchSpace, got {_kind(space)}; choices make one: "
            "netwright.spaces.ChoiceSpace('mine', (Choice('width', (8, 16)), ...))"
        )


def check_strategy(strategy: Any) -> None:
    """Checks a strategy from Python.

    Raises:
        UsageError: It is none, or was used before; a name is a setting.
    """
    if isinstance(strategy, str):
        raise UsageError(
            f"strategy: expected an object, got the name {strategy!r}; use settings={{'strategy.name': {strategy!r}}}"
        )
    _has_methods("strategy", strategy, ("ask", "tell", "restore"))
    if isinstance(strategy, Counting) and strategy.has_begun:
        made = type(strategy).__name__
        raise UsageError(
            f"strategy: expected a fresh one; this {made} has proposed, or was told, something already, as in another "
            f"search. Make it in the call, also to resume: run_search(..., strategy={made}(...))"
        )


def check_observer(observer: Any) -> None:
    """Checks an observer.

    Raises:
        UsageError: It is none.
    """
    _has_methods("observer", observer, ("started", "progressed", "finished"))


def check_task(task: Any) -> None:
    """Checks a kind of task from Python.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(task, Kind):
        raise UsageError(f"task: expected a netwright.tasks.Kind, got {_kind(task)}")


def as_evaluator(given: Any) -> Evaluator:
    """An evaluator from Python; a function of (architecture, seed, report) is one.

    Raises:
        UsageError: It is none, or takes other arguments.
    """
    if not isinstance(given, type) and not hasattr(given, "evaluate") and callable(given):
        _takes_three("evaluator", given)
        return FunctionEvaluator(given)
    _has_methods("evaluator", given, ("evaluate",))
    _takes_three("evaluator.evaluate", given.evaluate)
    evaluator: Evaluator = given
    return evaluator


def _takes_three(name: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one that does not say
        return
    try:
        signature.bind(None, 0, None)
    except TypeError:
        raise UsageError(f"{name}: expected to take (architecture, seed, report), takes {signature}") from None


def _has_methods(name: str, given: Any, methods: tuple[str, ...]) -> None:
    if isinstance(given, type):
        raise UsageError(f"{name}: expected an object, got the class {given.__name__}; make one: {given.__name__}()")
    if lacking := [method for method in methods if not callable(getattr(given, method, None))]:
        raise UsageError(
            f"{name}: expected an object with {', '.join(methods)}; {_kind(given)} has no {', '.join(lacking)}"
        )


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
