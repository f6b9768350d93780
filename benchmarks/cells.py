"""The gate for searches for cells: how far known cells are apart under a way of training, and how good that is.

python benchmarks/cells.py runs/cells.jsonl [--data pydoc ptb] [--regimes falling ...] [--seeds 3] [--workers 2]

A way of training is fit to search by when cells differ in it by more than chance does between two seeds, and when it is
not far from what a cell can reach. Every training is a line of the file, so the command can be stopped and given again;
at its end it prints a table: mean ± standard error of the validation perplexity, or bits per character, and the seconds
of a training. The recipe ``text`` is ``--data pydoc-characters --regimes characters``, ``text-words`` is ``--data pydoc
--regimes merged``.

All cells have the number of weights of a cell of base 8 with as many units as the regime says; ``torch-lstm`` and
``torch-gru`` are ``nn.LSTM`` and ``nn.GRU`` with biases.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from itertools import product
from pathlib import Path

import torch

from kept import completed
from netwright.children.language_evaluator import LanguageModelEvaluator
from netwright.config import LanguageModelTraining
from netwright.data.text import load_text
from netwright.errors import DivergedError
from netwright.search.estimates import Estimate
from netwright.spaces.published import CELLS, published

_base = LanguageModelTraining(
    layers=1, hidden=100, batch_size=10, steps=20, init_scale=0.1, dropout=0.0, learning_rate=1.0
)
_falling = _base.model_copy(update={"epochs": 6, "schedule": "linear", "dropout": 0.3, "bias": True})
REGIMES = {
    "plain": _base.model_copy(update={"epochs": 8, "decay_after": 4, "decay_by": 0.6}),
    "brief": _base.model_copy(update={"epochs": 6, "decay_after": 4, "decay_by": 0.5, "dropout": 0.3}),
    "long": _base.model_copy(update={"epochs": 12, "decay_after": 6, "decay_by": 0.6, "dropout": 0.3}),
    "falling": _falling,
    "merged": _falling.model_copy(update={"merge_sums": True}),
    "characters": _falling.model_copy(
        update={"merge_sums": True, "epochs": 3, "hidden": 64, "batch_size": 32, "dropout": 0.0}
    ),
}
SOURCES: dict[str, tuple[str, dict[str, int | str]]] = {
    "pydoc-characters": ("pydoc", {"unit": "character"}),
    "pydoc": ("pydoc", {"max_vocabulary": 2000}),
    "pydoc-5000": ("pydoc", {"max_vocabulary": 5000}),
    "ptb": ("ptb", {"max_vocabulary": 10_000, "train_limit": 100_000}),
}
Key = tuple[str, str, str, int]


def run(key: Key) -> dict[str, object]:
    """One training."""
    torch.set_num_threads(1)
    source, regime, cell, seed = key
    text, settings = SOURCES[source]
    data = load_text(text, **settings)  # type: ignore[arg-type]
    started, cpu = time.monotonic(), time.process_time()
    valid: float | None = None
    curve: tuple[float, ...] = ()
    try:
        found = LanguageModelEvaluator(data, REGIMES[regime]).evaluate(published(cell), seed)
        valid, curve = found.valid, found.curve
    except DivergedError:
        pass
    return {
        "key": key,
        "valid": valid,
        "curve": curve,
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", default=["pydoc"], choices=SOURCES)
    parser.add_argument("--regimes", nargs="+", default=list(REGIMES), choices=REGIMES)
    parser.add_argument("--cells", nargs="+", default=list(CELLS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    wanted: list[Key] = [
        (source, regime, cell, seed)
        for source, regime, seed, cell in product(options.data, options.regimes, range(options.seeds), options.cells)
    ]
    done = completed(options.out, run, wanted, options.workers)
    for source, regime in product(options.data, options.regimes):
        measure = "bits per character" if "unit" in SOURCES[source][1] else "perplexity"
        print(f"\n{source}, {regime}, {measure}: {REGIMES[regime].epochs} epochs, dropout {REGIMES[regime].dropout:g}")
        for cell in options.cells:
            lines = [done[key] for seed in range(options.seeds) if (key := (source, regime, cell, seed)) in done]
            valid = [line["valid"] for line in lines if line["valid"] is not None]
            if not valid:
                print(f"{cell:12} diverged")
                continue
            mean = Estimate.of(valid)
            seconds = statistics.fmean(line["cpu_seconds"] for line in lines)
            print(f"{cell:12} {mean.mean:7.3f} ± {mean.standard_error:.3f} over {len(valid)} seeds  {seconds:5.1f} s")


if __name__ == "__main__":
    main()
