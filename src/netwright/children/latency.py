"""Latency of a network, measured: how long one call takes on the processor, and how well that is known.

What is measured are single calls, one after the other, in single precision on the CPU, wherever a child is trained. The
first ones are left out, since memory is allocated and code is made in them.

Whatever else the machine does makes calls longer and never shorter, for seconds at a time. So the latency is the median
of the fastest fifth of the calls: over 20 networks on a virtual machine with other work two measurements of half a
second were within 2 percent of each other for nine networks of ten, medians of all calls within 5 percent
(docs/experiments.md).
"""

from __future__ import annotations

import copy
import io
import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
from torch import nn

from netwright.children.devices import torch_threads
from netwright.children.language_model import LanguageModel
from netwright.config import ImageTraining, LanguageModelTraining, LatencySettings, limits_of
from netwright.errors import OverBudgetError, UsageError
from netwright.spaces.cost import Shape, excess_of

Settings = TypeVar("Settings", ImageTraining, LanguageModelTraining)

LATENCY, LATENCY_ERROR = "latency_ms", "latency_ms_error"
"""The metrics of a trial: in milliseconds, and its standard error."""

WARM_UP_SECONDS = 0.05
"""Calls that nothing is learned from."""

CALLS = 50
"""How many are made between two looks at the error."""

LEAST_SECONDS = 0.5
"""Shorter measurements miss how the machine's speed drifts; see LatencySettings.seconds for the most."""

QUIET = 0.1
"""The share of calls that are faster than the latency: the median of the fastest fifth."""

PARTS = 5
"""Of a measurement, one after the other, whose differences show how the machine's speed drifts."""

STEPS = 32
"""Tokens of one call of a language model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """How long a call takes.

    Attributes:
        milliseconds: The median of the fastest fifth of the calls.
        standard_error: Of that median, in milliseconds.
        calls: How many were measured.
    """

    milliseconds: float
    standard_error: float
    calls: int

    def metrics(self) -> dict[str, float]:
        """As metrics of a trial."""
        return {LATENCY: self.milliseconds, LATENCY_ERROR: self.standard_error}


def measure(call: Callable[[], object], settings: LatencySettings) -> Latency:
    """Calls until the latency is known as well as the settings want, or their time is over."""
    started = time.monotonic()
    while time.monotonic() < started + WARM_UP_SECONDS:
        call()
    seconds: list[float] = []
    started = time.monotonic()
    while True:
        for _ in range(CALLS):
            before = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - before)
            if time.monotonic() - started > settings.seconds and len(seconds) >= PARTS:
                break
        passed = time.monotonic() - started
        if passed <= min(LEAST_SECONDS, settings.seconds):
            continue
        latency, error = undisturbed(seconds)
        if error <= settings.precision * latency or passed > settings.seconds:
            return Latency(milliseconds=1e3 * latency, standard_error=1e3 * error, calls=len(seconds))


def undisturbed(seconds: Sequence[float]) -> tuple[float, float]:
    """How long a call takes that nothing else gets in the way of, and the standard error of that.

    The error is the larger of two: by chance within the measurement, and by the differences of its parts, which hold
    what drifts meanwhile.

    Args:
        seconds: Of each call, in their order; at least :data:`PARTS`.
    """
    latency, by_chance = quantile_with_error(seconds, QUIET)
    size = len(seconds) // PARTS
    parts = [quantile_with_error(seconds[part * size : (part + 1) * size], QUIET)[0] for part in range(PARTS)]
    return latency, max(by_chance, statistics.stdev(parts) / math.sqrt(PARTS))


def quantile_with_error(values: Sequence[float], share: float) -> tuple[float, float]:
    """The value that a share of all lies below, and its standard error, whatever the distribution.

    The number of values below the true quantile is binomial with a standard deviation of sqrt(n p (1 - p)), so half the
    distance of the values that many ranks below and above it is the error (David & Nagaraja 2003, sec. 7.1).
    """
    ordered = sorted(values)
    last = len(ordered) - 1
    rank = share * last
    ranks = math.sqrt(len(ordered) * share * (1 - share))
    low, high = ordered[max(math.floor(rank - ranks), 0)], ordered[min(math.ceil(rank + ranks), last)]
    return (ordered[math.floor(rank)] + ordered[math.ceil(rank)]) / 2, (high - low) / 2


def without_latency_limit(settings: Settings) -> Settings:
    """The same settings of a training, by which the latency is measured if it was, and nothing is refused for it."""
    measure = settings.latency.measure or settings.max_latency_ms is not None
    latency = settings.latency.model_copy(update={"measure": measure})
    return settings.model_copy(update={"latency": latency, "max_latency_ms": None})


def latency_of_child(settings: ImageTraining | LanguageModelTraining, find: Callable[[], Latency]) -> dict[str, float]:
    """The latency of a child before its training, as metrics; nothing where nobody asks for it.

    Args:
        settings: Whether somebody does, and the limit.
        find: Measures it.

    Raises:
        OverBudgetError: It is beyond the limit.
    """
    if not (settings.latency.measure or settings.max_latency_ms is not None):
        return {}
    metrics = find().metrics()
    refuse_excess(metrics, settings)
    return metrics


def refuse_excess(costs: Mapping[str, float], settings: ImageTraining | LanguageModelTraining) -> None:
    """Checks costs of a child by their limits.

    Raises:
        OverBudgetError: One is beyond its own.
    """
    if (excess := excess_of(costs, limits_of(settings))) is not None:
        raise OverBudgetError(excess)


def image_latency(network: nn.Module, image: Shape, settings: LatencySettings) -> Latency:
    """Of one call with a batch of images, from prepared images to logits.

    Raises:
        UsageError: ONNX Runtime is wanted and not installed.
    """
    alone = copy.deepcopy(network).cpu().eval()
    images = torch.zeros(settings.batch, *image)
    if runs_onnx(settings):
        return measure(_onnx_call(alone, images, settings.threads), settings)
    return _torch_latency(lambda: alone(images), settings)


def token_latency(model: LanguageModel, settings: LatencySettings) -> Latency:
    """Per token of each stream: of one call with several, divided by how many they are; by PyTorch.

    Raises:
        UsageError: ONNX Runtime is wanted.
    """
    if settings.runtime == "onnx":
        raise UsageError("child.latency.runtime: language models run by torch; leave it at auto")
    alone = copy.deepcopy(model).cpu().eval()
    tokens = torch.zeros(STEPS, settings.batch, dtype=torch.long)
    whole = _torch_latency(lambda: alone(tokens), settings)
    return Latency(
        milliseconds=whole.milliseconds / STEPS, standard_error=whole.standard_error / STEPS, calls=whole.calls
    )


def runs_onnx(settings: LatencySettings) -> bool:
    """Whether ONNX Runtime is what runs the network.

    Raises:
        UsageError: It is wanted and not installed.
    """
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if settings.runtime == "onnx" and missing:
        raise UsageError(f"child.latency.runtime=onnx needs {' and '.join(missing)}: pip install 'netwright[onnx]'")
    return settings.runtime != "torch" and not missing


def _torch_latency(call: Callable[[], object], settings: LatencySettings) -> Latency:
    with torch_threads(settings.threads), torch.inference_mode():
        return measure(call, settings)


def _onnx_call(network: nn.Module, images: torch.Tensor, threads: int) -> Callable[[], object]:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # The older exporter takes a tenth of a second, the newer one five: too long for every child of a search.
        torch.onnx.export(
            network,
            (images,),
            buffer,  # type: ignore[arg-type]  # the older exporter takes a file, too
            input_names=["images"],
            output_names=["logits"],
            dynamo=False,
        )
    session = onnx_session(buffer.getvalue(), threads)
    feed = {"images": images.numpy()}
    return lambda: session.run(None, feed)


def onnx_session(model: bytes, threads: int) -> Any:
    """An ``onnxruntime.InferenceSession`` on so many threads of the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
