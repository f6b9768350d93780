"""Neural architecture search with reinforcement learning, whole, in one file that imports only PyTorch and the digits.

    python examples/mini_nas.py

A controller (an LSTM) writes a convolutional network as a string of tokens: for each layer a filter size, an anchor
that says which earlier layers feed it, and a number of filters. The network is trained for a moment, the cube of its
validation accuracy is the reward, and REINFORCE makes strings that earned more than usual likelier (Zoph & Le 2017;
"sec." is a section of that paper).

Read it from top to bottom; netwright is the same with a store, worker processes, other spaces and strategies.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

# ----------------------------------------------------------------------------------------------------------------------
# The search space: what there is to decide, layer by layer

DEPTH = 3
FILTER_SIZES = (1, 3, 5)  # pixels, of a square filter
FILTERS = (2, 4, 8, 16)  # output channels
OPTIONS = {"filter_height": FILTER_SIZES, "filter_width": FILTER_SIZES, "filters": FILTERS}
LAYER_STEPS = ("filter_height", "filter_width", "anchor", "filters")  # the paper's Figure 4
PLAN = LAYER_STEPS * DEPTH

Tokens = list[int]
"""One integer per step of the plan: an option's index, or, for an anchor, a bit mask of earlier layers."""


@dataclass(frozen=True)
class Layer:
    """One convolution; without inputs it reads the image."""

    filter_height: int
    filter_width: int
    filters: int
    inputs: tuple[int, ...]


def decode(tokens: Tokens) -> list[Layer]:
    """What a string of tokens means."""
    layers = []
    for index in range(DEPTH):
        height, width, mask, filters = tokens[4 * index : 4 * index + 4]
        inputs = tuple(j for j in range(index) if mask >> j & 1)
        layers.append(Layer(FILTER_SIZES[height], FILTER_SIZES[width], FILTERS[filters], inputs))
    return layers


# ----------------------------------------------------------------------------------------------------------------------
# The controller: a distribution over strings of tokens

HIDDEN = 35  # units per layer, two layers (sec. 4.1)


class Controller(nn.Module):
    """LSTM with one embedding and one softmax head per kind of decision, and attention for the anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.LSTMCell(HIDDEN, HIDDEN) for _ in range(2))
        self.start = nn.Parameter(torch.empty(HIDDEN))
        self.embeddings = nn.ModuleDict({kind: nn.Embedding(len(o), HIDDEN) for kind, o in OPTIONS.items()})
        self.heads = nn.ModuleDict({kind: nn.Linear(HIDDEN, len(o)) for kind, o in OPTIONS.items()})
        self.w_prev = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.w_curr = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.v = nn.Parameter(torch.empty(HIDDEN))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.08, 0.08)

    def forward(self, count: int, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Samples ``count`` strings, or follows ``given`` ones: tokens [m, T] and their log-probabilities [m], in nats.

        Sampling and re-evaluating are the same walk along the plan, so they cannot disagree.
        """
        zeros = torch.zeros(count, HIDDEN)
        states = [(zeros, zeros) for _ in self.cells]
        incoming = self.start.expand(count, -1)
        anchors: list[Tensor] = []  # the top layer's output at each anchor, [m, H]
        tokens, log_probs = [], []
        for step, kind in enumerate(PLAN):
            for depth, cell in enumerate(self.cells):
                states[depth] = cell(incoming, states[depth])
                incoming = states[depth][0]
            if kind == "anchor":
                token, log_prob, fed = self.anchor(incoming, anchors, None if given is None else given[:, step])
                anchors.append(incoming)
                incoming = fed
            else:
                log_p = self.heads[kind](incoming).log_softmax(-1)  # [m, n]
                token = torch.multinomial(log_p.exp(), 1)[:, 0] if given is None else given[:, step]
                log_prob = log_p.gather(1, token[:, None])[:, 0]
                incoming = self.embeddings[kind](token)
            tokens.append(token)
            log_probs.append(log_prob)
        return torch.stack(tokens, 1), torch.stack(log_probs).sum(0)

    def anchor(self, current: Tensor, anchors: list[Tensor], given: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """One bit per earlier layer j, with P(j feeds i) = sigmoid(v . tanh(W_prev h_j + W_curr h_i)) (sec. 3.3).

        Returns the bits as a mask [m], their log-probability [m], and what the next step is fed [m, H].
        """
        count = len(current)
        if not anchors:
            return torch.zeros(count, dtype=torch.int64), torch.zeros(count), self.start.expand(count, -1)
        earlier = torch.stack(anchors, 1)  # [m, i, H]
        logits = torch.tanh(self.w_prev(earlier) + self.w_curr(current)[:, None]) @ self.v  # [m, i]
        places = torch.arange(len(anchors))
        bits = torch.bernoulli(logits.sigmoid()) if given is None else (given[:, None] >> places & 1).float()
        log_prob = F.logsigmoid(torch.where(bits > 0, logits, -logits)).sum(-1)
        fed = (bits[..., None] * earlier).sum(1) / (1 + bits.sum(1, keepdim=True))
        return (bits.long() << places).sum(-1), log_prob, fed


def reinforce_loss(log_prob: Tensor, reward: Tensor, baseline: float) -> Tensor:
    """Its gradient is minus the policy gradient, 1/m sum_k grad log P(a_k) (R_k - b) (sec. 3.2)."""
    return -(log_prob * (reward - baseline)).mean()


# ----------------------------------------------------------------------------------------------------------------------
# The child: the network that a string describes


class Child(nn.Module):
    """Convolutions with skip connections, global average pooling and one linear layer."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self.inputs = [layer.inputs for layer in layers]
        self.blocks = nn.ModuleList()
        for layer in layers:
            channels = sum(layers[j].filters for j in layer.inputs) or 1
            side = (layer.filter_height, layer.filter_width)
            convolution = nn.Conv2d(channels, layer.filters, side, padding="same", bias=False)
            self.blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(layer.filters), nn.ReLU()))
        # What no layer consumes goes to the classifier, so that every string is a working network (sec. 3.3).
        consumed = {j for inputs in self.inputs for j in inputs}
        self.outputs = [index for index in range(len(layers)) if index not in consumed]
        self.classifier = nn.Linear(sum(layers[index].filters for index in self.outputs), 10)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 1, 8, 8] -> [N, 10]."""
        maps: list[Tensor] = []
        for inputs, block in zip(self.inputs, self.blocks, strict=True):
            maps.append(block(torch.cat([maps[j] for j in inputs], 1) if inputs else images))
        logits: Tensor = self.classifier(torch.cat([maps[index] for index in self.outputs], 1).mean((2, 3)))
        return logits


@dataclass(frozen=True)
class Digits:
    """Handwritten digits, 8 x 8 pixels, in two parts: one to learn from, one to measure the reward on."""

    train_images: Tensor
    train_labels: Tensor
    valid_images: Tensor
    valid_labels: Tensor


def load_data(train: int = 300, valid: int = 500) -> Digits:
    """Few images to learn from, so that good and bad architectures come out far apart."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))[: train + valid]
    images = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 8 - 1
    labels = torch.tensor(digits.target)[order]
    return Digits(images[:train], labels[:train], images[train:], labels[train:])


def validation_accuracy(layers: list[Layer], data: Digits, epochs: int = 4, batch: int = 30) -> float:
    """Trains a child from scratch; the accuracy on images that it has not seen, in [0, 1]."""
    child = Child(layers)
    optimizer = torch.optim.SGD(child.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - epoch / epochs)
        for rows in torch.randperm(len(data.train_labels)).split(batch):
            loss = F.cross_entropy(child(data.train_images[rows]), data.train_labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    child.eval()
    with torch.no_grad():
        correct = int((child(data.valid_images).argmax(1) == data.valid_labels).sum())
    return correct / len(data.valid_labels)


# ----------------------------------------------------------------------------------------------------------------------
# The search: the only loop


def main(updates: int = 20, batch: int = 8, seed: int = 0, learning_rate: float = 0.02, decay: float = 0.9) -> None:
    """Samples a batch of architectures, trains them, and moves the controller towards those that did well.

    The paper's step is 0.0006 for 1,600 updates; a search of 20 needs a longer one. ``decay`` is of the baseline, the
    moving average of past rewards.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # these networks are too small to share out
    data, controller = load_data(), Controller()
    optimizer = torch.optim.Adam(controller.parameters(), lr=learning_rate)
    baseline: float | None = None
    best: tuple[float, list[Layer]] = (0.0, [])
    means = []
    started = time.monotonic()
    for update in range(1, updates + 1):
        with torch.no_grad():
            tokens, _ = controller(batch)
        children = [decode(row) for row in tokens.tolist()]
        accuracies = [validation_accuracy(layers, data) for layers in children]
        rewards = torch.tensor(accuracies) ** 3
        means.append(rewards.mean().item())
        best = max([best, *zip(accuracies, children, strict=True)], key=lambda pair: pair[0])

        _, log_prob = controller(batch, tokens)
        loss = reinforce_loss(log_prob, rewards, means[-1] if baseline is None else baseline)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for reward in rewards.tolist():
            baseline = reward if baseline is None else decay * baseline + (1 - decay) * reward

        bar = "#" * round(40 * means[-1])
        print(f"update {update:3}  mean reward {means[-1]:.3f}  best accuracy {best[0]:.3f}  {bar}")

    quarter = max(len(means) // 4, 1)
    first, last = sum(means[:quarter]) / quarter, sum(means[-quarter:]) / quarter
    print(f"\n{updates * batch} networks in {time.monotonic() - started:.0f} s; mean reward of the first quarter")
    print(f"{first:.3f}, of the last {last:.3f}. The best network, accuracy {best[0]:.3f}:")
    for index, layer in enumerate(best[1]):
        sources = ", ".join(f"layer {j}" for j in layer.inputs) or "the image"
        print(f"  layer {index}: {layer.filter_height}x{layer.filter_width}, {layer.filters} filters, from {sources}")


if __name__ == "__main__":
    main()
