"""How far a search for cells comes where seeds differ by as much as cells: options of ``reinforce-replay``, simulated.

python benchmarks/noise.py [--seeds 8] [--first 0] [--options '{"smoothing": 0.02}' '{"evaluations": 2}' ...]

Nothing is trained. A cell's perplexity is that of ``lstm`` plus what its decisions add that differ, plus a little for
each pair of them; a training adds noise. The shares of decisions that break a cell, harm it or hardly matter, the
noise, and the seconds of a training are about those of an hour of ``netwright search text`` (docs/experiments.md,
2026-11-26); how pairs work together is a guess. Printed is, as JSON, by how much the cell that the finalists' rounds
name is truly better than ``lstm``, and the best among all that were trained; then the means with standard errors. The
rounds are shorter than a search's own (``final_rounds`` of ``netwright.config``), so a little more of the best is lost
in them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from random import Random
from typing import Any

import torch

from netwright.search.estimates import Estimate
from netwright.spaces.grammar import Tokens
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.strategies.replay import ReinforceReplay, ReplaySettings
from netwright.trial import State, Trial

SPACE = RecurrentCellSpace()
KNOWN = {"lstm": 46.1, "open-lstm": 47.2, "nascell": 53.3}
"""Perplexities of what the search begins from."""
NOISE = 0.35
"""Standard deviation of the perplexities of one cell's trainings."""
BROKEN, BROKEN_SECONDS, SECONDS = 60.0, 20, 58
"""Perplexity of cells that are stopped early, and how long trainings of these and of others last."""
FAILING = 0.4
"""Share of the broken ones whose loss is no finite number."""
BUDGET = 4400
"""Seconds that two workers have for the search, together."""
OPTIONS: dict[str, Any] = {"warmup": 4, "queue": 4, "mutants": 0.5, "crossovers": 0.15, "clone": 100}


def landscape(seed: int) -> Callable[[Tokens], float]:
    """The perplexity of a cell without noise."""
    random, start = Random(seed), SPACE.encode(published("lstm"))
    effects: dict[tuple[int, int], float] = {}
    for place, decision in enumerate(SPACE.plan()):
        for option in range(decision.cardinality):
            if option == start[place]:
                continue
            kind = random.random()
            if kind < 0.31:
                effects[place, option] = random.uniform(2, 50)
            elif kind < 0.62:
                effects[place, option] = random.uniform(0.2, 1.8)
            else:
                effects[place, option] = random.gauss(0.12, 0.15)

    def perplexity(tokens: Tokens) -> float:
        changed = [(place, token) for place, token in enumerate(tokens) if token != start[place]]
        found = KNOWN["lstm"] + sum(effects[change] for change in changed)
        for number, one in enumerate(changed):
            for other in changed[:number]:
                found += Random(f"{seed}{one}{other}").gauss(0.05, 0.1)
        return found

    return perplexity


def search(seed: int, options: dict[str, Any]) -> dict[str, float]:
    """One search, and the rounds after it."""
    true, chance = landscape(seed), Random(seed + 1000)
    strategy = ReinforceReplay(SPACE, replay=ReplaySettings(**(OPTIONS | options)), seed=seed)
    strategy.begin([(tuple(SPACE.encode(published(name))), 1 / known) for name, known in KNOWN.items()])
    measured: dict[Tokens, list[float]] = {}
    passed, trainings = 0, 0
    out = strategy.ask(1)
    while passed < BUDGET:
        out += strategy.ask(1)  # two are under way
        proposal = out.pop(0)
        perplexity = true(proposal.tokens)
        noisy = perplexity + chance.gauss(0, NOISE)
        broken = perplexity > BROKEN
        passed += BROKEN_SECONDS if broken else SECONDS
        trainings += 1
        failed = broken and chance.random() < FAILING
        if not failed:
            measured.setdefault(proposal.tokens, []).append(noisy)
        state, reward = (State.FAILED, 0.0) if failed else (State.COMPLETE, 1 / noisy)
        strategy.tell([Trial(id=proposal.id, tokens=proposal.tokens, state=state, reward=reward)])
    standing = sorted(measured, key=lambda tokens: statistics.fmean(measured[tokens]))[:8]
    finals: dict[Tokens, list[float]] = {tokens: [] for tokens in standing}
    for seeds in (1, 1, 2):
        for tokens in standing:
            finals[tokens] += [true(tokens) + chance.gauss(0, NOISE) for _ in range(seeds)]
        standing = sorted(standing, key=lambda tokens: statistics.fmean(finals[tokens]))[: max(1, len(standing) // 2)]
    best = min(map(true, measured))
    return {"gain": KNOWN["lstm"] - true(standing[0]), "best": KNOWN["lstm"] - best, "trainings": trainings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--options", type=json.loads, nargs="+", default=[{}])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    gains: dict[str, list[float]] = {json.dumps(options): [] for options in arguments.options}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for options in arguments.options:
            found = search(seed, options)
            gains[json.dumps(options)].append(found["gain"])
            print(json.dumps({"options": options, "seed": seed, **found}), flush=True)
    for options, values in gains.items():
        gain = Estimate.of(values)
        print(f"{options}: {gain.mean:.3f} ± {gain.standard_error:.3f} better than lstm")


if __name__ == "__main__":
    main()
