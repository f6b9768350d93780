"""Searches for a recurrent cell: the paper's on the Penn Treebank (Zoph & Le 2017, sec. 4.2), and small ones."""

from __future__ import annotations

from functools import partial

from netwright.config import (
    ClusterSettings,
    ExperimentConfig,
    LanguageModelTraining,
    LearnerSettings,
    PerplexityReward,
    RungSettings,
    SearchSettings,
    StrategySettings,
    TextDataSettings,
    VerdictSettings,
)
from netwright.spaces.published import CELLS
from netwright.spaces.recurrent_cell import RecurrentCellSpace


def penn_treebank() -> ExperimentConfig:
    """The paper's Penn Treebank search for a recurrent cell: 15,000 children of 20 million weights, for a cluster."""
    return ExperimentConfig(
        name="penn-treebank",
        data=TextDataSettings(source="ptb"),
        space=RecurrentCellSpace(),
        child=LanguageModelTraining(variational=True, recurrent_dropout=0.25, embedding_dropout=0.2),
        reward=PerplexityReward(),
        controller=LearnerSettings(learning_rate=5e-4),
        # Ten gradients of one child each make an update: a batch of ten on one machine.
        strategy=StrategySettings(options={"batch": 10}),
        search=SearchSettings(trials=15_000, child_seconds=48 * 3600),
        cluster=ClusterSettings(shards=20, replicas=400, children=1, gradients_per_update=10),
    )


def penn_treebank_small() -> ExperimentConfig:
    """The search for a cell at the size of two cores: 100,000 words of the Penn Treebank, one layer, six epochs."""
    return _small("penn-treebank-small", TextDataSettings(source="ptb", train_limit=100_000), _OF_WORDS)


def ptb_char() -> ExperimentConfig:
    """Characters of the Penn Treebank, to test a cell found on words: ``netwright train nascell --recipe ptb-char``."""
    return ExperimentConfig(
        name="ptb-char",
        data=TextDataSettings(source="ptb", unit="character"),
        space=RecurrentCellSpace(),
        # 380 epochs are the 600,000 steps of 32 x 100 characters of the paper's model of 16.28 million weights.
        child=LanguageModelTraining(
            hidden=800,
            embedding=128,
            epochs=380,
            batch_size=32,
            steps=100,
            optimizer="adam",
            learning_rate=1e-3,
            decay_by=1.0,
            weight_decay=1e-4,
            dropout=0.5,
            recurrent_dropout=0.2,
            variational=True,
        ),
        reward=PerplexityReward(constant=1.0),
        search=SearchSettings(child_seconds=48 * 3600),
    )


def text() -> ExperimentConfig:
    """A search for a recurrent cell on the characters of Python's own documentation; no download."""
    # Three epochs of characters do not overfit as six of words do, so that cells differ by what they can learn.
    child = _one_layer(hidden=64, epochs=3, batch_size=32, dropout=0.0)
    config = _small("text", TextDataSettings(source="pydoc", unit="character"), child)
    return config.model_copy(
        update={
            # Bits per character are near each other: what starts worse than every reference does not catch up.
            "rungs": RungSettings(first_half=0.0, third_quarter=0.0),
            "reward": PerplexityReward(constant=1.0),
        }
    )


def text_words() -> ExperimentConfig:
    """A search for a recurrent cell on the words of Python's own documentation; no download."""
    # With 5,000 words a child took half as long again, and cells were no further apart (docs/experiments.md).
    return _small("text-words", TextDataSettings(source="pydoc", max_vocabulary=2000), _OF_WORDS)


# Many short windows: with few of them a child shows how fast a cell starts, not how good it is. A rate that falls to
# zero is worth two in 49 to an LSTM, and its seeds are half as far apart. benchmarks/cells.py is the gate for these
# ways of training; docs/experiments.md has its tables.
_one_layer = partial(
    LanguageModelTraining,
    layers=1,
    bias=True,  # as the LSTMs and GRUs that people take have; worth 0.4 in 47 to an LSTM of this space
    merge_sums=True,  # an LSTM of base 8 would have half of its weights in sums that need none
    steps=20,
    schedule="linear",
    init_scale=0.1,
)
_OF_WORDS = _one_layer(hidden=100, epochs=6, batch_size=10, dropout=0.3)


def _small(name: str, data: TextDataSettings, child: LanguageModelTraining) -> ExperimentConfig:
    return ExperimentConfig(
        name=name,
        data=data,
        space=RecurrentCellSpace(),
        child=child,
        reward=PerplexityReward(),
        # Good cells lie near good ones, so half of the proposals change one decision of the best, some join two, and
        # the policy, too, changes hardly more than one of its 34. Seeds differ by as much as cells: the best are
        # trained twice. Simulations chose the last two (docs/experiments.md).
        strategy=StrategySettings(
            name="reinforce-replay",
            options={
                "warmup": 4,
                "queue": 4,
                "evaluations": 2,
                "smoothing": 0.02,
                "mutants": 0.5,
                "crossovers": 0.15,
            },
        ),
        rungs=RungSettings(),
        search=SearchSettings(trials=240, child_seconds=1800, controller_threads=1),
        verdict=VerdictSettings(references=CELLS, reference_seeds=2, contenders=3),
    )
