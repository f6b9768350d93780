"""Whether a cell that was found on words also helps with characters: the recipe ``ptb-char``, made small.

python benchmarks/characters.py runs/characters.jsonl [--cells FILE.json nascell lstm torch-lstm] [--seeds 3]

Needs NETWRIGHT_DATA with the Penn Treebank; ``--data pydoc`` takes Python's own help. Every training is a line of the
file and one that is there is not repeated, so the command can be stopped and given again. No training begins
after ``--hours``. At its end it prints bits per character on the validation part: mean ± standard error.

All cells have the number of weights of a cell of base 8 with ``--hidden`` units.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial
from itertools import product
from pathlib import Path

import torch

from kept import completed
from netwright.children.language_evaluator import LanguageModelEvaluator
from netwright.config import LanguageModelTraining
from netwright.data.text import load_text
from netwright.errors import DivergedError
from netwright.recipes import find_recipe
from netwright.search.estimates import Estimate
from netwright.spaces.architecture import Architecture, parse_architecture
from netwright.spaces.published import published

Key = tuple[str, int, int, int, str, int]
"""Source, characters, units, epochs, cell, seed."""


def training(hidden: int, epochs: int) -> LanguageModelTraining:
    """That of the recipe, with fewer units and epochs, and the dropout that ``nn.LSTM`` has, too."""
    recipe = find_recipe("ptb-char").child
    assert isinstance(recipe, LanguageModelTraining)
    small = {"layers": 1, "hidden": hidden, "embedding": 64, "epochs": epochs, "batch_size": 32, "steps": 50}
    return recipe.model_copy(
        update={**small, "dropout": 0.1, "recurrent_dropout": 0.0, "variational": False, "learning_rate": 2e-3}
    )


def cell_of(name: str) -> Architecture:
    """A built-in cell, or one in a file."""
    return parse_architecture(Path(name).read_bytes(), name) if name.endswith(".json") else published(name)


def run(key: Key, deadline: float) -> dict[str, object] | None:
    """One training; None where no time is left to begin it. ``deadline`` is by ``time.time``."""
    if time.time() > deadline:
        return None
    torch.set_num_threads(1)
    source, characters, hidden, epochs, cell, seed = key
    data = load_text(source, unit="character", train_limit=characters)
    started, valid = time.process_time(), None
    curve: tuple[float, ...] = ()
    try:
        found = LanguageModelEvaluator(data, training(hidden, epochs)).evaluate(cell_of(cell), seed)
        valid, curve = found.valid, found.curve
    except DivergedError:
        pass
    return {"key": key, "bits_per_character": valid, "curve": curve, "cpu_seconds": time.process_time() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", default="ptb")
    parser.add_argument("--cells", nargs="+", default=["nascell", "lstm", "torch-lstm"])
    parser.add_argument("--characters", type=int, default=500_000)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hours", type=float, default=1.0, help="no training begins later")
    options = parser.parse_args()
    how = (options.data, options.characters, options.hidden, options.epochs)
    keys: list[Key] = [(*how, cell, seed) for seed, cell in product(range(options.seeds), options.cells)]
    one = partial(run, deadline=time.time() + 3600 * options.hours)
    print(table(keys, completed(options.out, one, keys, options.workers)))


def table(keys: list[Key], done: dict[Key, dict[str, float | None]]) -> str:
    """A line for each cell."""
    lines = [f"{'cell':20} {'bits per character':>20}  seeds"]
    for cell in dict.fromkeys(key[4] for key in keys):
        found = [done[key]["bits_per_character"] for key in keys if key[4] == cell and key in done]
        valid = [value for value in found if value is not None]
        said = "diverged" if found else "not begun"
        if valid:
            mean = Estimate.of(valid)
            error = f"{mean.standard_error:.4f}" if math.isfinite(mean.standard_error) else "?"
            said = f"{mean.mean:.4f} ± {error}"
        lines.append(f"{Path(cell).stem:20} {said:>20}  {len(valid)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
