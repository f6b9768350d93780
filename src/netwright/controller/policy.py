"""The controller: an LSTM that writes architectures token by token (Zoph & Le 2017, sec. 3.1 and 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netwright.spaces.grammar import Anchor, Choice, Decision, Plan

# Shapes: m architectures in a batch, T steps of the plan, H hidden units, n options, i earlier anchors.
Choose = Callable[[int, Tensor], Tensor]
"""(step, logits [m, n] or [m, i]) -> tokens [m]; called once per decision, in order."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch of token strings from the policy.

    Attributes:
        tokens: [m, T] integers.
        log_prob: [m] log-probability of each string, in nats.
        entropy: [m] entropy of the decisions along each string, summed over its steps, in nats.
        uniform_log_prob: [m] log-probability expected of options drawn uniformly at each decision along the string, in
            nats; it falls without bound when the policy gives up an option.
    """

    tokens: Tensor
    log_prob: Tensor
    entropy: Tensor
    uniform_log_prob: Tensor


class Policy(nn.Module):
    """Distribution over token strings: stacked LSTM, one embedding and one head per kind of decision.

    The token sampled at one step is embedded as the input of the next. An anchor instead feeds the mean-like sum of the
    chosen earlier anchors' states, ``sum_j h_j / (1 + number chosen)``; the first step, and whatever follows an anchor
    that has no earlier ones, is fed a learned start vector.

    Args:
        plan: A plan with every kind of decision that will ever be asked for; longer and shorter plans of the same kinds
            can be sampled later.
        hidden: Units per LSTM layer, and the width of embeddings.
        layers: Stacked LSTM layers.
        init_scale: Every weight starts uniform in [-init_scale, init_scale].
        generator: Source of the initial weights.

    Raises:
        ValueError: Two decisions of one kind have different options.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        hidden: int = 35,
        layers: int = 2,
        init_scale: float = 0.08,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
        self.start = nn.Parameter(torch.empty(hidden))
        self.embeddings = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        kinds: dict[str, Decision] = {}
        for decision in plan:
            known = kinds.setdefault(decision.kind, decision)
            key = _key(decision.kind)
            if isinstance(decision, Anchor):
                if key not in self.heads:
                    self.heads[key] = _AnchorHead(hidden)
            elif known is decision:
                self.embeddings[key] = nn.Embedding(decision.cardinality, hidden)
                self.heads[key] = nn.Linear(hidden, decision.cardinality)
            elif known != decision:
                raise ValueError(f"decisions of kind {decision.kind!r} have different options: {known} and {decision}")
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale, generator=generator)

    @torch.no_grad()
    def sample(self, plan: Plan, count: int, generator: torch.Generator, temperature: Tensor | None = None) -> Sample:
        """Draws ``count`` strings of ``plan``; m = ``count``.

        Args:
            plan: Of any size.
            count: How many.
            generator: Source of the draws.
            temperature: [m] divides the logits of each draw; None means 1. Log-probabilities and entropies stay
                those of the policy itself.
        """

        def draw(step: int, logits: Tensor) -> Tensor:
            if temperature is not None:
                logits = logits / temperature[:, None]
            if isinstance(plan[step], Choice):
                return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)
            uniform = torch.rand(logits.shape, generator=generator)
            return _to_mask(uniform < logits.sigmoid())

        return self._unroll(plan, count, draw)

    @torch.no_grad()
    def continue_string(
        self, plan: Plan, prefix: Sequence[int], generator: torch.Generator, temperature: float = 1.0
    ) -> int:
        """Draws the token of the last decision of ``plan``, after the tokens ``prefix`` of all others."""
        given = [torch.tensor([token]) for token in prefix]

        def draw_last(step: int, logits: Tensor) -> Tensor:
            if step < len(given):
                return given[step]
            return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator).squeeze(1)

        return int(self._unroll(plan, 1, draw_last).tokens[0, -1])

    def evaluate(self, plan: Plan, tokens: Tensor | Sequence[Sequence[int]]) -> Sample:
        """Log-probability and entropy of given strings ``tokens`` [m, T] of ``plan``, differentiable."""
        tokens = torch.as_tensor(tokens, dtype=torch.int64)
        if tokens.shape[1:] != (len(plan),):
            raise ValueError(f"expected tokens of shape [m, {len(plan)}], got {list(tokens.shape)}")
        by_step = tokens.unbind(1)
        return self._unroll(plan, len(tokens), lambda step, logits: by_step[step])

    def _unroll(self, plan: Plan, count: int, choose: Choose) -> Sample:
        """Runs the LSTM along ``plan``; sampling and re-evaluation differ only in ``choose``."""
        zeros = self.start.new_zeros(count, self.hidden)
        states = [(zeros, zeros) for _ in self.cells]
        first = self.start.expand(count, -1)
        incoming = first
        anchors: list[Tensor] = []
        log_prob: list[Tensor] = []
        entropy: list[Tensor] = []
        uniform: list[Tensor] = []
        tokens: list[Tensor] = []
        for step, decision in enumerate(plan):
            for depth, cell in enumerate(self.cells):
                states[depth] = cell(incoming, states[depth])
                incoming = states[depth][0]
            head = self.heads[_key(decision.kind)]
            if isinstance(decision, Choice):
                logits = head(incoming)  # [m, n]
                token = choose(step, logits)
                log_p = logits.log_softmax(-1)
                log_prob.append(log_p.gather(1, token[:, None]).squeeze(1))
                entropy.append(-(log_p.exp() * log_p).sum(-1))
                uniform.append(log_p.mean(-1))
                incoming = self.embeddings[_key(decision.kind)](token)
            elif decision.earlier == 0:
                token = choose(step, incoming.new_zeros(count, 0))
                anchors.append(incoming)
                incoming = first
            else:
                earlier = torch.stack(anchors, 1)  # [m, i, H]
                logits = head(earlier, incoming)  # [m, i]
                token = choose(step, logits)
                bits = _to_bits(token, decision.earlier).to(incoming)
                log_p = nn.functional.logsigmoid(torch.where(bits > 0, logits, -logits))
                log_prob.append(log_p.sum(-1))
                p = logits.sigmoid()
                # H(p) of a Bernoulli with logit l is softplus(l) - l p: no logarithm of zero at a sure bit.
                entropy.append((nn.functional.softplus(logits) - logits * p).sum(-1))
                uniform.append((logits / 2 - nn.functional.softplus(logits)).sum(-1))
                anchors.append(incoming)
                incoming = torch.bmm(bits[:, None], earlier).squeeze(1) / (1 + bits.sum(-1, keepdim=True))
            tokens.append(token)
        sums = (torch.stack(values).sum(0) for values in (log_prob, entropy, uniform))
        return Sample(torch.stack(tokens, 1), *sums)


class _AnchorHead(nn.Module):
    """Logit that layer j feeds layer i: v^T tanh(W_prev h_j + W_curr h_i) (Zoph & Le 2017, sec. 3.3)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.w_prev = nn.Linear(hidden, hidden, bias=False)
        self.w_curr = nn.Linear(hidden, hidden, bias=False)
        self.v = nn.Parameter(torch.empty(hidden))

    def forward(self, earlier: Tensor, current: Tensor) -> Tensor:
        """[m, i, H] and [m, H] -> [m, i]."""
        logits: Tensor = torch.tanh(self.w_prev(earlier) + self.w_curr(current)[:, None]) @ self.v
        return logits


def _key(kind: str) -> str:
    """A name for the modules of ``kind``; PyTorch reserves the dot, and the names of its own methods."""
    return kind.replace(".", "·") + ("·" if hasattr(nn.ModuleDict(), kind) else "")


def _to_mask(bits: Tensor) -> Tensor:
    """[m, i] booleans -> [m] tokens, bit j first."""
    return (bits.long() << torch.arange(bits.shape[1])).sum(-1)


def _to_bits(tokens: Tensor, count: int) -> Tensor:
    """[m] tokens -> [m, count] zeros and ones."""
    return tokens[:, None] >> torch.arange(count) & 1
