"""The controller against a second implementation in NumPy, and against what probability demands."""

import math

import numpy as np
import pytest
import torch

from netwright.controller.policy import Policy
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import Anchor, Choice, every_string

SPACE = ConvSpace(depth=3, filter_heights=(1, 3), filter_widths=(1, 3, 5), filters=(8, 16))
COLOUR, SIZE = Choice("colour", ("red", "green")), Choice("size", (1, 2, 3))
PLAN = (COLOUR, Anchor(0), SIZE, Anchor(1), COLOUR, Anchor(2))
STRINGS = list(every_string(PLAN))


def make(plan, scale=0.08, **options):
    return Policy(plan, init_scale=scale, generator=torch.Generator().manual_seed(0), **options)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_log_prob(policy, plan, tokens):
    """The controller once more, one string, written from the paper's formulas (sec. 3.2, 3.3; paper.md 6-A4 to A10)."""
    weights = {name: value.detach().double().numpy() for name, value in policy.named_parameters()}

    def of(part, kind, rest):
        (found,) = (
            w for name, w in weights.items() if name.startswith(f"{part}.") and kind in name and name.endswith(rest)
        )
        return found

    layers = len([name for name in weights if name.endswith("weight_ih")])
    state = [(np.zeros(policy.hidden), np.zeros(policy.hidden)) for _ in range(layers)]
    x, anchors, total, entropy = weights["start"], [], 0.0, 0.0
    for decision, token in zip(plan, tokens, strict=True):
        for k in range(layers):
            h, c = state[k]
            cell = {rest: weights[f"cells.{k}.{rest}"] for rest in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
            gates = cell["weight_ih"] @ x + cell["bias_ih"] + cell["weight_hh"] @ h + cell["bias_hh"]
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            state[k] = h, c
            x = h
        if isinstance(decision, Choice):
            logits = of("heads", decision.kind, "weight") @ x + of("heads", decision.kind, "bias")
            p = np.exp(logits) / np.exp(logits).sum()
            total += np.log(p[token])
            entropy -= (p * np.log(p)).sum()
            x = of("embeddings", decision.kind, "weight")[token]
        else:
            chosen = []
            for j, earlier in enumerate(anchors):
                inner = of("heads", "anchor", "w_prev.weight") @ earlier + of("heads", "anchor", "w_curr.weight") @ x
                p = sigmoid(of("heads", "anchor", "v") @ np.tanh(inner))
                total += np.log(p if token >> j & 1 else 1 - p)
                entropy -= p * np.log(p) + (1 - p) * np.log(1 - p)
                if token >> j & 1:
                    chosen.append(earlier)
            first = not anchors
            anchors.append(x)
            x = weights["start"] if first else sum(chosen, np.zeros(policy.hidden)) / (1 + len(chosen))
    return total, entropy


@pytest.mark.parametrize("plan", [PLAN, SPACE.plan(), ConvSpace(depth=3, anchor_position="last").plan()])
@pytest.mark.parametrize(("scale", "layers"), [(0.08, 2), (0.8, 2), (0.8, 1), (0.8, 3)])
def test_it_equals_the_controller_written_in_numpy(plan, scale, layers):
    policy = make(plan, scale, hidden=7, layers=layers).double()
    sample = policy.sample(plan, 5, torch.Generator().manual_seed(1))
    for row, tokens in enumerate(sample.tokens.tolist()):
        log_prob, entropy = numpy_log_prob(policy, plan, tokens)
        assert sample.log_prob[row].item() == pytest.approx(log_prob, abs=1e-9)
        assert sample.entropy[row].item() == pytest.approx(entropy, abs=1e-9)


def test_it_equals_numpy_in_single_precision_too():
    plan = ConvSpace(depth=6, strides=(1, 2, 3)).plan()
    policy = make(plan, 0.3)
    sample = policy.sample(plan, 3, torch.Generator().manual_seed(1))
    for row, tokens in enumerate(sample.tokens.tolist()):
        assert sample.log_prob[row].item() == pytest.approx(numpy_log_prob(policy, plan, tokens)[0], rel=1e-6)


def test_sampled_log_probabilities_are_exactly_those_of_the_strings():
    """Equal to the last bit: both come from one unrolling, so REINFORCE's gradient is that of the sample."""
    plan = ConvSpace(depth=15, strides=(1, 2, 3)).plan()
    policy = make(plan)
    sample = policy.sample(plan, 8, torch.Generator().manual_seed(1))
    again = policy.evaluate(plan, sample.tokens)
    assert torch.equal(sample.log_prob, again.log_prob)
    assert torch.equal(sample.entropy, again.entropy)
    assert torch.equal(sample.tokens, again.tokens)


def test_probabilities_of_all_strings_sum_to_one():
    policy = make(PLAN, 1.0, hidden=5).double()
    assert policy.evaluate(PLAN, STRINGS).log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_samples_are_drawn_with_the_probabilities_that_are_told():
    policy = make(PLAN, 1.0, hidden=5)
    count = 20_000
    tokens = policy.sample(PLAN, count, torch.Generator().manual_seed(2)).tokens.tolist()
    drawn = dict.fromkeys(STRINGS, 0)
    for string in tokens:
        drawn[tuple(string)] += 1
    told = policy.evaluate(PLAN, STRINGS).log_prob.exp().tolist()
    for string, p in zip(STRINGS, told, strict=True):
        assert abs(drawn[string] / count - p) < 5 * math.sqrt(p * (1 - p) / count) + 1e-4, string


def marginals(policy, plan):
    """Probability of every token of every step, by summing over all strings."""
    strings = list(every_string(plan))
    p = policy.evaluate(plan, strings).log_prob.exp().tolist()
    for step, decision in enumerate(plan):
        shares = [0.0] * decision.cardinality
        for string, weight in zip(strings, p, strict=True):
            shares[string[step]] += weight
        yield decision, shares


@pytest.mark.parametrize("seed", range(5))
def test_a_fresh_controller_is_near_uniform(seed):
    """paper.md section 7: every softmax near uniform, every skip near one half."""
    policy = Policy(PLAN, generator=torch.Generator().manual_seed(seed)).double()
    for decision, shares in marginals(policy, PLAN):
        if isinstance(decision, Anchor):
            for bit in range(decision.earlier):
                skip = sum(share for token, share in enumerate(shares) if token >> bit & 1)
                assert skip == pytest.approx(0.5, abs=0.02)
        else:
            assert all(share == pytest.approx(1 / len(shares), rel=0.15) for share in shares)


def test_initial_weights_are_uniform_in_the_papers_range():
    weights = torch.cat([p.detach().flatten() for p in make(ConvSpace(depth=2).plan()).parameters()])
    assert weights.abs().max() <= 0.08
    assert weights.abs().max() > 0.0799
    assert weights.std().item() == pytest.approx(0.08 / math.sqrt(3), rel=0.02)


def test_the_generators_alone_decide():
    plan = SPACE.plan()
    one, same = (make(plan).sample(plan, 4, torch.Generator().manual_seed(9)).tokens for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, make(plan).sample(plan, 4, torch.Generator().manual_seed(10)).tokens)


def test_it_writes_shorter_and_longer_architectures_than_it_was_made_for():
    policy = make(SPACE.plan(2))
    for size in (1, 2, 9):
        tokens = policy.sample(SPACE.plan(size), 3, torch.Generator().manual_seed(1)).tokens
        assert all(len(SPACE.decode(string).layers) == size for string in tokens.tolist())


def test_the_first_layers_do_not_depend_on_how_many_follow():
    """What was learnt on shallow networks must hold when the schedule deepens them."""
    policy = make(SPACE.plan())
    short = policy.sample(SPACE.plan(2), 4, torch.Generator().manual_seed(3)).tokens
    steps = short.shape[1]
    assert not torch.equal(short[0], short[1])
    longer = torch.cat([short, torch.zeros(4, len(SPACE.plan()) - steps, dtype=torch.int64)], 1)
    short_entropy = policy.evaluate(SPACE.plan(2), short).entropy
    assert (policy.evaluate(SPACE.plan(), longer).entropy > short_entropy).all()


def test_rows_of_a_batch_do_not_see_each_other():
    plan = SPACE.plan()
    policy = make(plan, 0.5).double()
    sample = policy.sample(plan, 6, torch.Generator().manual_seed(1))
    alone = torch.cat([policy.evaluate(plan, row[None]).log_prob for row in sample.tokens])
    torch.testing.assert_close(sample.log_prob, alone, rtol=1e-12, atol=1e-12)


def test_all_62_bits_of_an_anchor_are_drawn():
    """A mask of 62 bits needs whole 64-bit integers all the way."""
    plan = tuple(Anchor(j) for j in range(63))
    policy = make(plan, hidden=4)
    masks = policy.sample(plan, 40, torch.Generator().manual_seed(1)).tokens[:, -1].tolist()
    assert all(0 <= mask < 2**62 for mask in masks)
    assert all(
        any(mask >> bit & 1 for mask in masks) and not all(mask >> bit & 1 for mask in masks) for bit in range(62)
    )


def test_a_sure_bit_has_no_entropy_and_no_nan():
    plan = (Anchor(0), Anchor(1))
    policy = make(plan, hidden=4)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.fill_(1e3)
    sample = policy.evaluate(plan, [[0, 1], [0, 0]])
    assert sample.entropy.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert sample.log_prob[0] == 0
    assert torch.isfinite(sample.log_prob).all()
    (sample.log_prob.sum() + sample.entropy.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in policy.parameters() if p.grad is not None)


def test_decisions_of_one_kind_must_have_the_same_options():
    with pytest.raises(ValueError, match="size"):
        Policy((SIZE, Choice("size", (1, 2))))


def test_tokens_of_the_wrong_length_are_refused():
    with pytest.raises(ValueError, match="shape"):
        make(PLAN).evaluate(PLAN, [[0, 0]])


def test_a_decision_may_be_called_as_anything_of_pytorch():
    """Tried: asked of the class, which has no attribute ``training`` before there is an instance, it is a KeyError."""
    plan = tuple(Choice(kind, (1, 2)) for kind in ("training", "keys", "a.b"))
    assert make(plan).sample(plan, 2, torch.Generator().manual_seed(0)).tokens.shape == (2, 3)
