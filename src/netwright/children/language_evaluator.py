"""Evaluation of a recurrent cell: build its language model, train it, measure it on the validation part."""

from __future__ import annotations

import copy
import math
from typing import Self

import torch
from torch import Tensor

from netwright.children.child import Child
from netwright.children.devices import use
from netwright.children.language_model import LanguageModel, build_model, count_multiply_adds, hidden_for_budget
from netwright.children.language_training import LanguageModelTrainer, losses_in_blocks, mean_loss, too_few
from netwright.children.latency import latency_of_child, token_latency, without_latency_limit
from netwright.config import LanguageModelTraining
from netwright.data.text import TextData
from netwright.data.tokens import Unit
from netwright.errors import DataError, DivergedError
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture
from netwright.spaces.published import published
from netwright.trial import Evaluation, Report, announce, no_report


def score(nats: float, unit: Unit) -> float:
    """What is reported of a loss in nats per token: perplexity of words, bits per character.

    Raises:
        DivergedError: It is no finite number.
    """
    if not math.isfinite(nats) or nats > 500:
        raise DivergedError(f"the loss is {nats} nats per {unit}")
    return math.exp(nats) if unit == "word" else nats / math.log(2)


class LanguageModelEvaluator:
    """Trains recurrent cells on text.

    Args:
        data: What they learn from; its test part is looked at by :meth:`evaluate_and_test` alone.
        settings: How they are built and trained.
        device: Where.

    Attributes:
        device_share: Of the memory of a graphics card, what these children may take; other workers have the rest.

    Raises:
        DataError: The training part is shorter than the streams that it is cut into.
        UsageError: Not even a cell of one unit is within the budget of parameters.
    """

    def __init__(self, data: TextData, settings: LanguageModelTraining, device: str = "cpu") -> None:
        # What no child can be trained with is said before anything is written of a search or a training.
        if problem := too_few(len(data.train), settings):
            raise DataError(f"{data.name}: {problem}")
        if settings.hidden is None:
            hidden_for_budget(settings.parameters, len(data.vocabulary), settings)
        self.data = data
        self.settings = settings
        self.device = device
        self.device_share = 1.0

    def warm_up(self) -> None:
        """Compiles what cells on a CPU run by; see :class:`netwright.search.executor.WarmingUp`."""
        if torch.device(self.device).type == "cpu":
            tiny = LanguageModelTraining(layers=1, hidden=4)
            model, nothing = build_model(published("lstm"), 2, tiny, torch.Generator()), torch.zeros(2, 2).long()
            model.loss(nothing, nothing)[0].backward()

    def begin(self, architecture: Architecture, seed: int) -> Child[LanguageModel]:
        """A child before its first epoch; measured by perplexity, or bits per character.

        Raises:
            ArchitectureError: Not a recurrent cell.
            OverBudgetError: More parameters than the settings allow.
        """
        data, settings, device = self.data, self.settings, torch.device(self.device)
        use(device, self.device_share)
        generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        model = build_model(architecture, len(data.vocabulary), settings, generator).to(device)

        def measure(measured: LanguageModel, tokens: Tensor, device: torch.device = device) -> float:
            return score(mean_loss(measured, tokens, settings, device=device), data.unit)

        def in_blocks() -> tuple[float, ...]:
            losses = losses_in_blocks(model, data.test, settings, device=device)
            return tuple(score(loss, data.unit) for loss in losses)

        # Apple's cards have no double precision.
        exact = torch.device("cpu") if device.type == "mps" else device

        return Child(
            network=model,
            trainer=LanguageModelTrainer(
                model, data.train, settings, device=device, seed=derive_seed(seed, "training")
            ),
            validate=lambda: measure(model, data.validation),
            # In double precision, so that the number can be repeated in whatever order the additions are done.
            test=lambda: measure(copy.deepcopy(model).to(exact).double(), data.test, exact),
            blocks=in_blocks,
        )

    def lenient(self) -> Self:
        """The same, which measures the latency if this does, and refuses nothing for it."""
        other = copy.copy(self)
        other.settings = without_latency_limit(self.settings)
        return other

    def evaluate(self, architecture: Architecture, seed: int, report: Report = no_report) -> Evaluation:
        """Trains one child from scratch.

        Args:
            architecture: A recurrent cell.
            seed: Of its weights and of dropout.
            report: Told the validation number after each epoch.

        Returns:
            ``valid`` is the lowest validation perplexity of all epochs, or bits per character of a model of characters.
            The weights, and with them any test number, are those of the last epoch.

        Raises:
            ArchitectureError: Not a recurrent cell.
            OverBudgetError: More parameters than the settings allow.
            DivergedError: The loss is no longer a finite number.
        """
        return self._measured(self.begin(architecture, seed), report)

    def evaluate_and_test(self, architecture: Architecture, seed: int, report: Report = no_report) -> Evaluation:
        """As :meth:`evaluate`, and looks at the test part once; see :class:`netwright.search.executor.Examiner`."""
        child = self.begin(architecture, seed)
        return child.tested(self._measured(child, report))

    def _measured(self, child: Child[LanguageModel], report: Report) -> Evaluation:
        settings, model = self.settings, child.network
        costs = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "multiply_adds": count_multiply_adds(model),
            **latency_of_child(settings, lambda: token_latency(model, settings.latency)),
            "hidden": model.softmax.in_features,
        }
        announce(report, costs)
        curve, loss = child.train(settings.epochs, report)
        return Evaluation(
            valid=min(curve),
            metrics={**costs, "best_epoch": curve.index(min(curve)) + 1, "train_loss": loss},
            curve=curve,
        )
