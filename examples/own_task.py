"""A third kind of task in one file: signals, one-dimensional, told apart by convolutions over time.

Everything that netwright does for images it then does for signals: it searches over a space of its own choosing, trains
the best network to the end, tests it, and writes it as a file. Run it: ``python examples/own_task.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import netwright
from netwright.children.child import Child
from netwright.config import OwnTraining
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.conv import ConvSpace
from netwright.tasks.kind import Kind
from netwright.trial import Evaluation, Report

SHAPES = ("sine", "square", "saw")


@dataclass(frozen=True)
class Signals:
    """Noisy waves of unknown frequency and phase: ``train``, ``validation``, ``test`` are (x [N, 1, T], y [N])."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    kind: str = "signals"
    name: str = "waves"

    def share_memory(self) -> Self:
        """Small enough to be copied."""
        return self


def waves(count: int, seed: int, length: int = 64) -> tuple[Tensor, Tensor]:
    """Waves [count, 1, length] and which of the shapes each has [count]."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(SHAPES), (count,), generator=generator)
    start, speed = torch.rand(2, count, 1, generator=generator)
    turns = start + (2 + 3 * speed) * torch.linspace(0, 1, length)  # [count, length]
    phase = turns % 1
    all_shapes = torch.stack([torch.sin(2 * math.pi * phase), torch.sign(0.5 - phase), 2 * phase - 1])
    clean = all_shapes[labels, torch.arange(count)]
    return (clean + 0.3 * torch.randn(clean.shape, generator=generator))[:, None], labels


class SignalNet(nn.Module):
    """A convolutional architecture along time: filter heights are ignored, inputs concatenated, then an average."""

    def __init__(self, architecture: ConvArchitecture, classes: int) -> None:
        super().__init__()
        self.inputs = [layer.inputs for layer in architecture.layers]
        self.outputs = architecture.outputs
        widths = [layer.filters for layer in architecture.layers]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(sum(widths[j] for j in layer.inputs) or 1, layer.filters, layer.filter_width, padding="same"),
                nn.BatchNorm1d(layer.filters),
                nn.ReLU(),
            )
            for layer in architecture.layers
        )
        self.classifier = nn.Linear(sum(widths[j] for j in self.outputs), classes)

    def forward(self, signals: Tensor) -> Tensor:
        """[N, 1, T] -> logits [N, classes]."""
        maps: list[Tensor] = []
        for layer, inputs in zip(self.layers, self.inputs, strict=True):
            maps.append(layer(torch.cat([maps[j] for j in inputs], 1) if inputs else signals))
        logits: Tensor = self.classifier(torch.cat([maps[j] for j in self.outputs], 1).mean(2))
        return logits


class Trainer:
    """Adam, an epoch at a time; see :class:`netwright.children.child.Trainer`."""

    def __init__(self, network: nn.Module, data: tuple[Tensor, Tensor], training: OwnTraining, seed: int) -> None:
        self.network = network
        self.epoch = 0
        self._data, self._batch = data, int(float(str(training.options.get("batch_size", 32))))
        self._optimizer = torch.optim.Adam(
            network.parameters(), float(str(training.options.get("learning_rate", 0.01)))
        )
        self._generator = torch.Generator().manual_seed(seed)

    def run_epoch(self) -> float:
        """One pass over the signals; the mean loss in nats."""
        signals, labels = self._data
        self.network.train()
        total = 0.0
        for batch in torch.randperm(len(labels), generator=self._generator).split(self._batch):
            loss = F.cross_entropy(self.network(signals[batch]), labels[batch])
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            total += loss.item() * len(batch)
        self.epoch += 1
        return total / len(labels)

    def state(self) -> dict[str, Tensor]:
        """All that the next epoch depends on, but Adam's moments, which begin again."""
        weights = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        return {**weights, "generator": self._generator.get_state(), "epoch": torch.tensor(self.epoch)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken."""
        weights = {n.removeprefix("network."): v for n, v in state.items() if n.startswith("network.")}
        self.network.load_state_dict(weights)
        self._generator.set_state(state["generator"])
        self.epoch = int(state["epoch"])


@torch.inference_mode()
def accuracy(network: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """The share of signals that a network tells apart correctly."""
    network.eval()
    return float((network(data[0]).argmax(1) == data[1]).float().mean())


class SignalEvaluator:
    """Trains children on signals."""

    def __init__(self, data: Signals, training: OwnTraining, device: str) -> None:
        self.data, self.training = data, training

    def begin(self, architecture: Architecture, seed: int) -> Child[nn.Module]:
        """A child before its first epoch."""
        network = build(architecture, describe(self.data), self.training, torch.Generator().manual_seed(seed))
        measure: Callable[[tuple[Tensor, Tensor]], float] = lambda part: accuracy(network, part)  # noqa: E731
        return Child(
            network=network,
            trainer=Trainer(network, self.data.train, self.training, seed),
            validate=lambda: measure(self.data.validation),
            test=lambda: measure(self.data.test),
        )

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        """Trains one child; its validation accuracy is its worth."""
        child = self.begin(architecture, seed)
        curve, loss = child.train(self.training.epochs, report)
        parameters = sum(p.numel() for p in child.network.parameters())
        return Evaluation(valid=curve[-1], metrics={"parameters": parameters, "train_loss": loss}, curve=curve)


def describe(data: Signals) -> Mapping[str, Any]:
    """What children read and write, as JSON."""
    return {"length": data.train[0].shape[2], "shapes": list(SHAPES)}


def build(architecture: Architecture, task: Mapping[str, Any], training: Any, generator: torch.Generator) -> nn.Module:
    """The untrained network."""
    assert isinstance(architecture, ConvArchitecture)
    network = SignalNet(architecture, len(task["shapes"]))
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def export(
    architecture: Architecture, task: Mapping[str, Any], training: Any, network: nn.Module, *, trained: bool, onnx: bool
) -> dict[str, bytes | str]:
    """The network as a TorchScript-free program of PyTorch, made by its own exporter."""
    import io

    file = io.BytesIO()
    signals = torch.zeros(2, 1, task["length"])
    program = torch.export.export(network.eval(), (signals,), dynamic_shapes=({0: torch.export.Dim("signals")},))
    torch.export.save(program, file)
    return {"model.pt2": file.getvalue()}


SIGNALS = Kind(
    name="signals",
    training=OwnTraining(epochs=3, options={"learning_rate": 0.01, "batch_size": 32}),
    describe=describe,
    evaluator=SignalEvaluator,
    build=build,
    export=export,
    longer=4,
)

SPACE = ConvSpace(depth=3, filter_heights=(1,), filter_widths=(3, 5, 9), filters=(4, 8, 16))


def main(out: Path = Path("runs/signals"), trials: int = 8) -> float:
    """Searches, trains the best network to the end, exports it, and uses the exported file; its test accuracy."""
    data = Signals(train=waves(300, 0), validation=waves(200, 1), test=waves(200, 2))
    run = netwright.run_search("digits", out / "search", task=SIGNALS, data=data, space=SPACE, trials=trials)
    print(run)
    network = run.best.train(out / "training", data=data)
    print(f"tested once: {network.test()['test_mean']:.3f}")
    network.export(out / "export")
    program = torch.export.load(out / "export" / "model.pt2").module()
    signals, labels = data.test
    predicted = program(signals).argmax(1)
    print("the first ten:", [SHAPES[k] for k in predicted[:10]])
    return float((predicted == labels).float().mean())


if __name__ == "__main__":  # worker processes import this file
    main()
