"""How fast convolutional children train: ratios to a plain PyTorch training loop, measured in one run.

    NETWRIGHT_DATA=DIR python benchmarks/children.py [speed] [accuracy] [overhead] [memory] [profile]

The plain loop is :func:`train_plainly`: the same networks in float32, batches from a DataLoader with one worker
process, PyTorch's own choice of threads. Ours: one worker process per core with one thread each, as a search has them.

speed      Training images per second over complete children (augmentation, training, validation) by wall time, over
           ten random architectures as deep as cifar10-small's and over the paper's Figure 7. The rivals take turns.
accuracy   Final validation accuracy of both over five of those architectures and two seeds.
overhead   Wall time of a search that is not spent inside children, with children of ten seconds; the time from the
           command to the first training step.
memory     Resident memory of a worker, child after child, and who shares the images.
profile    Where the time of a training step goes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import mean

import psutil
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import netwright
from netwright.children.conv_net import ConvNet
from netwright.children.devices import cores
from netwright.children.image_evaluator import ImageEvaluator, image_shape
from netwright.config import ImageTraining
from netwright.data.images import ImageData, ImageSplit, load_images
from netwright.recipes import find_recipe
from netwright.runtime.process_pool import ProcessPool
from netwright.search.executor import Job
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation, Report

SMALL = find_recipe("cifar10-small")
assert isinstance(SMALL.child, ImageTraining)
# As a tutorial trains, whatever the recipe says by now, so that both sides do the same.
PLAINLY = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 1e-4, "schedule": "steps"}
TRAINING: ImageTraining = SMALL.child.model_copy(update=PLAINLY)


def main() -> None:
    parts = {"speed": speed, "accuracy": accuracy, "overhead": overhead, "memory": memory, "profile": profile}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    for part in parser.parse_args().parts or parts:
        parts[part]()


# --- The yardstick ----------------------------------------------------------------------------------------------------


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images one by one, whitened and augmented as the children's are."""

    def __init__(self, split: ImageSplit, settings: ImageTraining, *, augment: bool) -> None:
        self.split, self.settings, self.augment = split, settings, augment

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.split.images[index].float()
        height, width = image.shape[1:]
        image = (image - image.mean()) / image.std(correction=0).clamp(min=image.numel() ** -0.5)
        if self.settings.upsample > 1:
            size = round(height * self.settings.upsample), round(width * self.settings.upsample)
            image = F.interpolate(image[None], size, mode="bilinear", align_corners=False)[0]
        room = image.shape[1] - height, image.shape[2] - width
        top, left = (int(torch.randint(side + 1, ())) if self.augment else side // 2 for side in room)
        image = image[:, top : top + height, left : left + width]
        if self.augment and self.settings.flip and torch.rand(()) < 0.5:
            image = image.flip(2)
        return image, int(self.split.labels[index])


def train_plainly(architecture: ConvArchitecture, data: ImageData, settings: ImageTraining, seed: int) -> list[float]:
    """Trains as a tutorial would; returns the validation accuracy after each epoch."""
    torch.manual_seed(seed)
    network: nn.Module = ConvNet(architecture, image_shape(data), data.num_classes)
    batches = DataLoader(
        PlainImages(data.train, settings, augment=True), settings.batch_size, shuffle=True, num_workers=1
    )
    held_out = DataLoader(PlainImages(data.validation, settings, augment=False), settings.batch_size, num_workers=1)
    optimizer = torch.optim.SGD(
        network.parameters(),
        settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=True,
    )
    drops = [round(share * settings.epochs) for share in settings.decay_at]
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, drops, settings.decay_by)
    curve = []
    for _ in range(settings.epochs):
        network.train()
        for images, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
        scheduler.step()
        network.eval()
        with torch.no_grad():
            correct = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in held_out)
        curve.append(correct / len(data.validation))
    return curve


# --- Speed ------------------------------------------------------------------------------------------------------------


def speed() -> None:
    """Prints images per second of both, and the ratio."""
    print(f"torch {torch.__version__}, {cores()} cores, plain loop on {torch.get_num_threads()} threads", flush=True)
    print(f"{'children':34}{'plain':>10}{'ours':>10}  ours/plain   (training images/s over complete children)")
    data = load_images("cifar10", validation=5000, train_limit=4000, validation_limit=1000, image_size=16)
    settings = TRAINING.model_copy(update={"epochs": 2})
    compare_speed("ten random, 16x16", random_architectures(10), data, settings, turns=5)
    data = load_images("cifar10", validation=5000, train_limit=256, validation_limit=64)
    figure7 = published("figure7")
    assert isinstance(figure7, ConvArchitecture)
    compare_speed("figure7, 32x32", [figure7] * 2, data, ImageTraining(epochs=1), turns=1)


def compare_speed(
    name: str, architectures: Sequence[ConvArchitecture], data: ImageData, settings: ImageTraining, turns: int
) -> None:
    """Prints a line; the rivals take turns, so that whatever else the machine does disturbs both alike."""
    images = settings.epochs * len(data.train)
    plain = ours = 0.0
    with closing(pool(data, settings)) as workers:
        # Two children nobody counts: the workers have imported everything by then, and both cores are awake.
        list(train(workers, [architectures[0]] * cores(), seed=1))
        for turn in range(turns):
            some = architectures[turn::turns]
            started = time.perf_counter()
            for architecture in some:
                train_plainly(architecture, data, settings, seed=0)
            plain += time.perf_counter() - started
            started = time.perf_counter()
            list(train(workers, some, seed=0))
            ours += time.perf_counter() - started
    rates = (images * len(architectures) / seconds for seconds in (plain, ours))
    print(f"{name:34}{next(rates):10.1f}{next(rates):10.1f}{plain / ours:10.2f}x", flush=True)


def random_architectures(count: int) -> list[ConvArchitecture]:
    """Architectures as the untrained controller of cifar10-small would draw them, four to six layers deep."""
    assert isinstance(SMALL.space, ConvSpace)
    space = SMALL.space
    found = [space.decode(uniform_tokens(space.plan(4 + seed % 3), Random(seed))) for seed in range(count)]
    return [architecture for architecture in found if isinstance(architecture, ConvArchitecture)]


def pool(data: ImageData, settings: ImageTraining) -> ProcessPool:
    """Workers as a search has them."""
    data.share_memory()
    return ProcessPool([ImageEvaluator(data, settings)] * cores())


def train(workers: ProcessPool, architectures: Sequence[ConvArchitecture], seed: int) -> Iterator[tuple[int, float]]:
    """Trains all; yields the position and the validation number of each as it comes."""
    for number, architecture in enumerate(architectures):
        workers.submit(Job(id=number, architecture=architecture, seed=seed))
    while workers.busy:
        for outcome in workers.wait():
            assert isinstance(outcome.result, Evaluation), outcome.result
            yield outcome.id, outcome.result.valid


# --- Accuracy ---------------------------------------------------------------------------------------------------------


def accuracy() -> None:
    """Prints the final validation accuracies of both, their means and how well they rank the architectures alike."""
    data = load_images("cifar10", validation=5000, train_limit=10_000, validation_limit=2500, image_size=16)
    settings = TRAINING.model_copy(update={"epochs": 4, "reward_epochs": 1})
    architectures = random_architectures(5)
    ours: list[list[float]] = [[] for _ in architectures]
    plain: list[list[float]] = [[] for _ in architectures]
    with closing(pool(data, settings)) as workers:
        for seed in range(2):
            for number, valid in train(workers, architectures, seed):
                ours[number].append(valid)
    print("architecture   plain, two seeds    ours, two seeds")
    for number, architecture in enumerate(architectures):
        plain[number] = [train_plainly(architecture, data, settings, seed)[-1] for seed in range(2)]
        print(f"{number:<12}" + "".join(f"{value:10.4f}" for value in (*plain[number], *ours[number])), flush=True)
    means = [[mean(accuracies) for accuracies in both] for both in (plain, ours)]
    difference = mean(means[1]) - mean(means[0])
    print(f"mean: plain {mean(means[0]):.4f}, ours {mean(means[1]):.4f}, difference {difference:+.4f}")
    print(f"Spearman's rank correlation of the architectures: {spearmanr(*means).statistic:.2f}")


# --- Overhead ---------------------------------------------------------------------------------------------------------


class Sleeper:
    """An evaluator whose children take a known time and no processor, so that all else that passes is the search's."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        started = time.monotonic()
        report(1, 0.5)
        time.sleep(max(0.0, self.seconds - (time.monotonic() - started)))
        return Evaluation(valid=Random(seed).random(), curve=(0.5,))


def overhead() -> None:
    """Prints the share of a search's wall time that no child used, and how long the first step takes to come."""
    seconds, trials = 10.0, 8 * cores()
    with tempfile.TemporaryDirectory() as folder:
        netwright.run_search(
            "cifar10-small",
            Path(folder) / "run",
            evaluator=Sleeper(seconds),
            trials=trials,
            settings={"search.workers": cores()},
        )
        rows = RunFolder.open(Path(folder) / "run").store.rows()
        started = [datetime.fromisoformat(row.started_at).timestamp() for row in rows]
        ended = [datetime.fromisoformat(row.finished_at).timestamp() for row in rows if row.finished_at]
        times = [row.seconds for row in rows if row.seconds]
    wall = max(ended) - min(started)
    share = 1 - sum(times) / (cores() * wall)
    print(
        f"{trials} children of {seconds:g} s on {cores()} workers: {wall:.1f} s, of which {share:.2%} not in children"
    )
    print(f"from the command to the first training step: {first_step():.1f} s")


def first_step() -> float:
    """Seconds from the start of ``netwright search digits`` until its first child begins."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-c",
            "from netwright.cli.main import main; main()",
            "search",
            "digits",
            "--trials",
            "2",
            "--quiet",
        ]
        started = time.time()
        subprocess.run([*command, "--out", f"{folder}/run"], check=True, capture_output=True)
        row = RunFolder.open(Path(folder) / "run").store.rows()[0]
    assert row.finished_at is not None
    assert row.seconds is not None
    return datetime.fromisoformat(row.finished_at).timestamp() - row.seconds - started


# --- Memory -----------------------------------------------------------------------------------------------------------


def memory() -> None:
    """Prints a worker's memory after 1, 10, ... 100 children, its own and what it shares."""
    data = load_images("cifar10", validation=5000, train_limit=2000, validation_limit=200, image_size=16)
    images = data.train.images.nbytes + data.validation.images.nbytes
    print(f"images: {images / 2**20:.1f} MiB")
    architectures = random_architectures(10)
    settings = TRAINING.model_copy(update={"epochs": 1})
    with closing(pool(data, settings)) as workers:
        process = psutil.Process(workers.pids[0])
        for batch in range(11):
            list(train(workers, architectures * cores(), seed=batch))
            used = process.memory_full_info()
            print(
                f"after {10 * (batch + 1):4} children of each worker: its own {used.uss / 2**20:7.1f} MiB, "
                f"shared with others {(used.rss - used.uss) / 2**20:7.1f} MiB",
                flush=True,
            )


# --- Profile ----------------------------------------------------------------------------------------------------------


def profile() -> None:
    """Prints where the time of training goes, by kind of operation, before and after."""
    torch.set_num_threads(1)
    data = load_images("cifar10", validation=5000, train_limit=1600, validation_limit=100, image_size=16)
    for architecture in random_architectures(4):
        child = ImageEvaluator(data, TRAINING).begin(architecture, 0)
        child.trainer.run_epoch()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
            child.trainer.run_epoch()
        events = recorded.key_averages()
        total = sum(event.self_cpu_time_total for event in events)
        shares = {
            kind: sum(event.self_cpu_time_total for event in events if any(part in event.key for part in parts)) / total
            for kind, parts in KINDS.items()
        }
        shares["rest"] = 1 - sum(shares.values())
        print("  ".join(f"{kind} {share:.0%}" for kind, share in shares.items()), flush=True)


KINDS = {
    "convolutions": ("mkldnn_convolution", "convolution_backward"),
    "batch normalisation": ("native_batch_norm",),
    "ReLU": ("threshold_backward", "clamp_min", "relu"),
    "copies": ("aten::copy_", "aten::cat"),
    "optimizer": ("Optimizer", "_fused_sgd"),
    "augmentation": ("aten::index", "aten::std"),
}


if __name__ == "__main__":
    main()
