"""The controller as a sampler of Optuna, and a search as a study of Optuna."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage, get_storage
from optuna.study import Study, StudyDirection, create_study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from netwright.config import LearnerSettings
from netwright.controller.learner import Learner
from netwright.controller.transfer import transfer
from netwright.errors import UsageError
from netwright.integrations.told import Told
from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Anchor, Choice, Option, Plan, Tokens
from netwright.strategies.replay import HEATING, PlannedString, ReplaySettings
from netwright.trial import Trial

MAX_OPTIONS = 1024
Parameter = tuple[str, tuple[Any, ...]]
"""Name and values of a parameter: Optuna lets an objective ask for one name with a range that changes."""
REPLAY_USED = ("batch", "warmup", "window", "queue", "steps", "step_size", "smoothing")
"""The settings of the replay that serve a sampler: it draws no strings as a whole, and its strings have no anchors."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class ControllerSampler(BaseSampler):
    """Lets the RNN controller drive any objective over categorical parameters.

    One ``suggest`` is one step of the RNN, whose input is the value suggested before; a parameter that it has not met
    gets a head of its own, so that objectives may ask for different parameters from trial to trial; a
    parameter that is asked for with another list of values counts as another one. Before each trial the
    results that have come in since, of any worker of the study's storage, are taken in, and the best of the recent ones
    are replayed, as in :class:`ReinforceReplay`. Pruned and failed trials are never replayed.

    An objective asks step by step, so a string that turns out to be known cannot be drawn again as a whole. Instead the
    temperature rises with each trial in a row that repeated an earlier one.

    Args:
        seed: Of the weights and of every suggestion.
        replay: What is replayed, and when: those settings of it that are :data:`REPLAY_USED`.
        settings: Sizes of the controller; its learning rate is ``replay.step_size``.

    Raises:
        ValueError: Another setting of ``replay`` is not as it is by default, and would have no effect.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        replay: ReplaySettings | None = None,
        settings: LearnerSettings | None = None,
    ) -> None:
        self._settings = settings
        self._replay = replay or ReplaySettings()
        fresh = ReplaySettings()
        vain = [name for name, value in self._replay if name not in REPLAY_USED and value != getattr(fresh, name)]
        if vain:
            raise ValueError(
                f"ControllerSampler: replay: {', '.join(vain)} without effect here; leave it out. It uses "
                f"{', '.join(REPLAY_USED)}"
            )
        self._seed = seed
        self._decisions: dict[Parameter, Choice] = {}
        self._learner: Learner | None = None
        self._finished: dict[int, FrozenTrial] = {}
        self._updated_at = 0
        # Threads of one study (n_jobs) share the sampler.
        self._lock = threading.Lock()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing is sampled ahead of the objective's own calls."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is sampled ahead of the objective's own calls."""
        return {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Takes in what has finished since, by whichever worker.

        Raises:
            ValueError: The study has more than one objective.
        """
        if len(study.directions) != 1:
            raise ValueError(f"ControllerSampler: expected one objective, got {len(study.directions)}")
        with self._lock:
            for finished in study.get_trials(deepcopy=False, states=FINISHED):
                if finished.number not in self._finished and finished.params:
                    self._finished[finished.number] = finished
            if len(self._finished) >= max(self._replay.warmup, self._updated_at + self._replay.batch):
                self._learn(1 if study.direction is StudyDirection.MAXIMIZE else -1)
                self._updated_at = len(self._finished)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One step of the RNN.

        Raises:
            ValueError: The parameter has no closed list of values.
        """
        with self._lock:
            plan, prefix = self._read(trial)
            self._meet({param_name: param_distribution})
            decision = self._decisions[parameter_of(param_name, param_distribution)]
            assert self._learner is not None
            generator = torch.Generator().manual_seed(derive_seed(self._seed, "suggest", trial.number, len(prefix)))
            token = self._learner.policy.continue_string((*plan, decision), prefix, generator, self._temperature())
        return values_of(param_name, param_distribution)[token]

    def _read(self, trial: FrozenTrial) -> tuple[Plan, Tokens]:
        """The plan and tokens of a trial's parameters, in the order in which this sampler met them.

        A value that is out of its list cannot be written; its parameter is left out.
        """
        self._meet(trial.distributions)
        unlisted = out_of_list(trial)
        written = {name: of for name, of in trial.distributions.items() if name not in unlisted}
        asked = {parameter_of(name, distribution) for name, distribution in written.items()}
        met = [parameter for parameter in self._decisions if parameter in asked]
        tokens = [values.index(trial.params[name]) for name, values in met]
        return tuple(self._decisions[parameter] for parameter in met), tuple(tokens)

    def _meet(self, distributions: Mapping[str, BaseDistribution]) -> None:
        """Makes room for parameters that are new: a controller with their heads that keeps all it has learned."""
        new = [p for p in (parameter_of(*item) for item in distributions.items()) if p not in self._decisions]
        if not new:
            return
        for parameter in new:
            name, values = parameter
            earlier = sum(known == name for known, _ in self._decisions)
            kind = f"{name} ({earlier + 1})" if earlier else name
            self._decisions[parameter] = Choice(kind, tuple(range(len(values))))
        seed = derive_seed(self._seed, "controller", len(self._decisions))
        larger = self._replay.learner(tuple(self._decisions.values()), self._settings, seed)
        if self._learner is not None:
            transfer(self._learner.state(), larger.policy)
        self._learner = larger

    def _temperature(self) -> float:
        """Hotter with each of the last trials in a row that repeated an earlier one."""
        strings = [tuple(sorted(trial.params.items())) for trial in self._finished.values()]
        known = set(strings[: -self._replay.window])
        repeats = 0
        for string in strings[-self._replay.window :]:
            repeats = repeats + 1 if string in known else 0
            known.add(string)
        return float(HEATING**repeats)

    def _learn(self, sign: int) -> None:
        """Replays the best of the recent trials; a string that was repeated stands in the queue once, by its mean."""
        rewards_of: dict[PlannedString, list[float]] = {}
        for trial in list(self._finished.values())[-self._replay.window :]:
            if trial.state is TrialState.COMPLETE and trial.value is not None and not out_of_list(trial):
                rewards_of.setdefault(self._read(trial), []).append(sign * trial.value)
        if not rewards_of:  # nothing has succeeded lately
            return
        assert self._learner is not None
        self._replay.replay(self._learner, [(fmean(rewards), string) for string, rewards in rewards_of.items()])


def out_of_list(trial: FrozenTrial) -> set[str]:
    """The parameters whose value is none of their list: Optuna warns of one that was enqueued, and takes it.

    Raises:
        ValueError: A parameter has no closed list of values.
    """
    return {
        name
        for name, distribution in trial.distributions.items()
        if trial.params[name] not in values_of(name, distribution)
    }


def parameter_of(name: str, distribution: BaseDistribution) -> Parameter:
    """The name of a parameter with its values, which decide together whether two decisions are the same.

    Raises:
        ValueError: It has no closed list of values.
    """
    return name, tuple(values_of(name, distribution))


def values_of(name: str, distribution: BaseDistribution) -> Sequence[Any]:
    """The closed list of values of a parameter.

    Raises:
        ValueError: It has none, or a very long one.
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution) and not distribution.log:
        values = range(distribution.low, distribution.high + 1, distribution.step)
        if len(values) <= MAX_OPTIONS:
            return values
    raise ValueError(
        f"ControllerSampler: {name}: expected a categorical parameter or an integer with at most {MAX_OPTIONS} values, "
        f"got {distribution}; give a list of values with suggest_categorical"
    )


def write_study(
    space: SearchSpace,
    trials: Iterable[Trial],
    *,
    curriculum: Curriculum = full_size,
    storage: str | None = None,
    name: str | None = None,
    curves: Mapping[int, Sequence[float]] | None = None,
    metrics: Mapping[int, Mapping[str, float]] | None = None,
) -> Study:
    """Writes finished trials as a study of Optuna, for its dashboard and its plots.

    The value is the reward; ``valid``, the notes and what was measured, such as ``parameters`` and ``multiply_adds``,
    are user attributes, and lost trials are failed ones. A choice is the parameter ``step.kind``, each bit of an anchor
    the parameter ``step.kind.bit``. A child's validation numbers are the intermediate values, by epoch from 1.

    Args:
        space: What was searched.
        trials: As a strategy is told them.
        curriculum: Size of the architecture by trial number.
        storage: Optuna's URL, such as ``sqlite:///study.db``; None keeps the study in memory.
        name: Of the study.
        curves: The validation number after each epoch, by the number of the trial.
        metrics: What else was measured, by the number of the trial.

    Raises:
        UsageError: The storage cannot be written, or has a study of that name.
    """
    shown = without_password("memory" if storage is None else storage)
    curves, metrics = curves or {}, metrics or {}
    told = (
        Told(
            parameters=tuple(_parameters(space.plan(curriculum(trial.id)), trial.tokens)),
            reward=trial.reward,
            attributes={"trial": trial.id, "valid": trial.valid, **trial.notes, **metrics.get(trial.id, {})},
            curve=tuple(curves.get(trial.id, ())),
        )
        for trial in trials
    )
    try:
        keeper = None if storage is None else get_storage(storage)
        study = create_study(direction="maximize", storage=keeper, study_name=name)
        database = getattr(keeper, "_backend", keeper)  # behind Optuna's cache
        try:
            if isinstance(database, RDBStorage) and (together := _together()) is not None:
                together(database, study, told)
            else:
                study.add_trials(one.frozen() for one in told)
        except BaseException:
            study._storage.delete_study(study._study_id)  # rather none than a part of one, also after Ctrl-C
            raise
    except DuplicatedStudyError:
        raise UsageError(f"{shown}: has a study {name!r} already; choose another name") from None
    except (StorageInternalError, ImportError, SQLAlchemyError, ValueError) as error:
        why = without_password(str(error).partition("\n")[0])  # below it a link to the pages of SQLAlchemy
        raise UsageError(f"{shown}: cannot be written: {why}") from None
    return study


def _together() -> Callable[[RDBStorage, Study, Iterable[Told]], None] | None:
    """How many trials are added at once; None where Optuna's tables are not where they were."""
    try:
        from netwright.integrations.rows import add_together
    except (ImportError, AttributeError):
        return None
    return add_together


def without_password(text: str) -> str:
    """A storage's URL, or a text with one in it, for a message: passwords are stars, wherever a URL may have one."""
    # To the last @, since a password may have signs in it that it should not.
    text = re.sub(r"(://[^/\s:@]*):\S*@", r"\1:***@", text)
    return re.sub(r"(?i)([?&;](?:password|passwd|pwd|token|secret|key)=)[^&;\s]*", r"\1***", text)


def _parameters(plan: Plan, tokens: Tokens) -> Iterator[tuple[str, tuple[Option, ...], int]]:
    """Name, options and the index of the chosen option of every parameter of a string."""
    for step, (decision, token) in enumerate(zip(plan, tokens, strict=True)):
        name = f"{step}.{decision.kind}"
        if isinstance(decision, Anchor):
            yield from ((f"{name}.{bit}", (0, 1), token >> bit & 1) for bit in range(decision.earlier))
        else:
            yield name, decision.options, token
