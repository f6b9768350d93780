"""The convolutional space: tokens to networks and back, all of the paper's variants."""

from dataclasses import replace
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.children.conv_net import ConvNet
from netwright.errors import ArchitectureError
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape
from netwright.spaces.features import layer_features
from netwright.spaces.fill import Budget, FilledSpace
from netwright.spaces.grammar import Anchor, count_strings, uniform_tokens
from netwright.spaces.published import published
from netwright.testing.spaces import SpaceContract

V1 = ConvSpace(depth=5)
V2 = ConvSpace(depth=5, strides=(1, 2, 3))
V3 = ConvSpace(depth=4, filters=(6, 12, 24, 36), block=3, pool_after=(1, 2))
VARIANTS = {
    "v1 fixed strides": V1,
    "v2 predicted strides": V2,
    "v3 blocks and pooling": V3,
    "v3 skips are pooled": ConvSpace(depth=4, filters=(6, 12), block=3, pool_after=(1, 2), skip_over_pool="pool"),
    "v3 more filters": ConvSpace(depth=4, filters=(6, 12, 24, 36), block=3, pool_after=(1, 2), extra_filters=40),
    "pooling and strides": ConvSpace(depth=5, strides=(1, 2), pool_after=(2, 4), skip_over_pool="pool"),
    "pooling decided": ConvSpace(depth=5, pool_decided=True, skip_over_pool="pool"),
    "pooling decided for blocks": ConvSpace(depth=4, filters=(6, 12), block=3, pool_decided=True),
    "anchor last": ConvSpace(depth=5, strides=(1, 2, 3), anchor_position="last"),
    "no anchors": ConvSpace(depth=5, anchors=False),
    "no anchors, strided": ConvSpace(depth=3, anchors=False, strides=(2,)),
    "layer types": ConvSpace(depth=5, layer_types=("conv", "separable"), strides=(1, 2), pool_decided=True),
    "separable alone": ConvSpace(depth=4, layer_types=("separable",)),
}
variants = pytest.mark.parametrize("space", VARIANTS.values(), ids=VARIANTS.keys())


@st.composite
def strings(draw, space, most=6):
    """Tokens of any size of a space, drawn so that hypothesis can shrink them."""
    plan = space.plan(draw(st.integers(1, most)))
    return tuple(draw(st.integers(0, decision.cardinality - 1)) for decision in plan)


class TestFixedStridesKeepTheContract(SpaceContract):
    sizes = (None, 1, 2, 15)

    def make(self):
        return V1


class TestPredictedStridesKeepTheContract(SpaceContract):
    sizes = (None, 1, 20)

    def make(self):
        return V2


class TestDecidedPoolingKeepsTheContract(SpaceContract):
    sizes = (None, 1, 2, 15)

    def make(self):
        return VARIANTS["pooling decided"]


class TestPoolingKeepsTheContract(SpaceContract):
    sizes = (None, 1, 13)

    def make(self):
        return V3


class TestNoAnchorsKeepTheContract(SpaceContract):
    sizes = (None, 1)

    def make(self):
        return VARIANTS["no anchors, strided"]


class TestLayerTypesKeepTheContract(SpaceContract):
    sizes = (None, 1, 2, 15)

    def make(self):
        return VARIANTS["layer types"]


@variants
@given(st.data())
def test_decoding_then_encoding_gives_the_tokens_back(space, data):
    tokens = data.draw(strings(space))
    assert space.encode(space.decode(tokens)) == tokens


@variants
@settings(max_examples=20)
@given(st.data())
def test_every_network_builds_and_runs_forward_and_backward(space, data):
    architecture = space.decode(data.draw(strings(space, most=4)))
    image = Shape(data.draw(st.sampled_from((1, 3))), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    network = ConvNet(architecture, image, 3)
    logits = network(torch.randn(2, *image))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_decisions_stand_in_the_order_of_figure_4():
    kinds = [decision.kind for decision in V2.plan(1)]
    assert kinds == ["filter_height", "filter_width", "stride_height", "stride_width", "anchor", "filters"]
    assert [decision.kind for decision in VARIANTS["anchor last"].plan(1)][-2:] == ["filters", "anchor"]


def test_fifteen_layers_with_anchors_take_60_steps_and_105_bits():
    # paper.md 1.2
    plan = ConvSpace(depth=15).plan()
    assert len(plan) == 60
    assert sum(decision.earlier for decision in plan if isinstance(decision, Anchor)) == 105
    assert count_strings(plan) == 4 ** (3 * 15) * 2**105


def test_tokens_by_hand():
    # Two layers: 3x5 with 24 filters; 7x1, fed by the first, with 64.
    architecture = ConvSpace(depth=2).decode((1, 2, 0, 0, 3, 0, 1, 3))
    assert architecture == ConvArchitecture(
        layers=(
            ConvLayer(filter_height=3, filter_width=5, filters=24),
            ConvLayer(filter_height=7, filter_width=1, filters=64, inputs=(0,)),
        )
    )


def test_the_type_of_a_layer_comes_first():
    types = ("conv", "separable")
    space = ConvSpace(depth=2, layer_types=types, filter_heights=(3, 5), filter_widths=(3,), filters=(8,))
    assert space.plan(1)[0].kind == "layer_type"
    assert space.names()[5] == "layer type of layer 1"
    first, second = space.decode((0, 0, 0, 0, 0, 1, 1, 0, 1, 0)).layers
    assert first == ConvLayer(filter_height=3, filter_width=3, filters=8)
    assert second == ConvLayer(layer_type="separable", filter_height=5, filter_width=3, filters=8, inputs=(0,))
    assert "layer_type" not in first.model_dump_json()  # so that digests of older networks stay
    assert ConvLayer.model_validate_json(second.model_dump_json()) == second


def test_a_separable_layer_filters_each_channel_and_then_mixes_them():
    layers = (ConvLayer(layer_type="separable", filter_height=3, filter_width=3, filters=5, stride_height=2),)
    block = ConvNet(ConvArchitecture(layers=layers), Shape(2, 8, 8), 3).layers[0].eval()
    maps = torch.randn(1, 2, 8, 8)
    padded = torch.nn.functional.pad(maps, (1, 1, 0, 1))  # SAME for a stride of 2 down
    filtered = [torch.nn.functional.conv2d(padded[:, c : c + 1], block.depthwise.weight[c : c + 1], stride=(2, 1))
                for c in range(2)]  # fmt: skip
    mixed = torch.einsum("nchw,fc->nfhw", torch.cat(filtered, 1), block.conv.weight[:, :, 0, 0])
    expected = torch.relu(mixed / (1 + block.norm.eps) ** 0.5)
    torch.testing.assert_close(block(maps), expected)


def test_a_block_is_three_layers_densely_connected_and_skips_run_between_blocks():
    space = ConvSpace(depth=3, filters=(6, 12), block=3, pool_after=(1, 2), extra_filters=40)
    # Blocks of 1x1; the third block is fed by both others.
    architecture = space.decode((0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 3, 0))
    assert [layer.inputs for layer in architecture.layers] == [
        (),
        (0,),
        (0, 1),
        (2,),
        (3,),
        (3, 4),
        (2, 5),
        (6,),
        (6, 7),
    ]
    assert [layer.filters for layer in architecture.layers] == [46] * 3 + [52] * 3 + [46] * 3
    assert architecture.pool_after == (2, 5)


def test_the_papers_third_variant_pools_before_layer_13_and_after_layer_24():
    space = ConvSpace(depth=13, filters=(6, 12, 24, 36), block=3, pool_after=(4, 8))
    architecture = space.decode([0] * len(space.plan()))
    assert len(architecture.layers) == 39
    assert architecture.pool_after == (11, 23)  # 0-based: behind the 12th and the 24th layer


def test_without_anchors_each_layer_is_fed_by_the_one_before():
    architecture = ConvSpace(depth=3, anchors=False).decode([0] * 9)
    assert [layer.inputs for layer in architecture.layers] == [(), (0,), (1,)]


def test_figure7_can_be_written_in_the_space_it_was_found_in():
    space = ConvSpace(depth=15)
    for name in ("figure7", "figure7-dense", "figure7-chain"):
        assert space.decode(space.encode(published(name))) == published(name)


def layers(*inputs, **changes):
    shape = {"filter_height": 3, "filter_width": 3, "filters": 24} | changes
    return tuple(ConvLayer(**shape, inputs=sources) for sources in inputs)


FOREIGN = {
    "another filter size": (V1, ConvArchitecture(layers=layers((), filter_height=2))),
    "another number of filters": (V1, ConvArchitecture(layers=layers((), filters=25))),
    "a stride where strides are fixed": (V1, ConvArchitecture(layers=layers((), stride_width=2))),
    "a pooling layer": (V1, ConvArchitecture(layers=layers((), (0,)), pool_after=(0,))),
    "no pooling layer": (V3, ConvArchitecture(layers=layers(*[()] * 6))),
    "part of a block": (V3, ConvArchitecture(layers=layers((), (0,), (0, 1), (2,)))),
    "a skip into a block": (V3, ConvArchitecture(layers=layers((), (0,), (0, 1), (1,), (3,), (3, 4)), pool_after=(2,))),
    "a skip over a layer without anchors": (
        VARIANTS["no anchors"],
        ConvArchitecture(layers=layers((), (0,), (0, 1))),
    ),
    "more layers than a token has bits": (V1, ConvArchitecture(layers=layers(*[()] * 70))),
    "a recurrent cell": (V1, published("nascell")),
}


@pytest.mark.parametrize(("space", "architecture"), FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_architecture_is_refused(space, architecture):
    with pytest.raises(ArchitectureError):
        space.encode(architecture)


@pytest.mark.parametrize("space", [V1, V3, VARIANTS["no anchors"]], ids=["v1", "v3", "no anchors"])
def test_a_string_for_too_many_layers_is_refused(space):
    steps = len(space.plan(1))
    with pytest.raises(ArchitectureError, match="predictions"):
        space.decode([0] * steps * 300)


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_below_one_is_no_size(depth):
    with pytest.raises(ValueError, match="at least 1"):
        V1.plan(depth)


WRONG_SPACES = {
    "depth 0": {"depth": 0},
    "too deep for the anchors' bits": {"depth": 64},
    "too many layers": {"depth": 100, "anchors": False, "block": 3},
    "no filters to choose from": {"depth": 2, "filters": ()},
    "an option twice": {"depth": 2, "filters": (24, 24)},
    "a filter of no height": {"depth": 2, "filter_heights": (0, 1)},
    "a stride of zero": {"depth": 2, "strides": (0, 1)},
    "no stride at all": {"depth": 2, "strides": ()},
    "a layer type twice": {"depth": 2, "layer_types": ("conv", "conv")},
    "no layer type": {"depth": 2, "layer_types": ()},
    "more filters than a layer can have": {"depth": 2, "extra_filters": 5000},
    "less than no filters": {"depth": 2, "extra_filters": -24},
    "a block without layers": {"depth": 2, "block": 0},
    "pooling before the first prediction": {"depth": 2, "pool_after": (0,)},
    "pooling in falling order": {"depth": 4, "pool_after": (2, 1)},
}


@pytest.mark.parametrize("arguments", WRONG_SPACES.values(), ids=WRONG_SPACES.keys())
def test_a_space_that_has_no_networks_is_refused_when_it_is_made(arguments):
    """Else the first decode, in the middle of a search, would be where it fails."""
    with pytest.raises(ValueError, match="expected"):
        ConvSpace(**arguments)


def test_a_pooling_follows_the_predictions_that_decide_for_one_and_never_the_last():
    space = VARIANTS["pooling decided"]
    plan = space.plan(3)
    pooling = [step for step, decision in enumerate(plan) if decision.kind == "pooling"]
    assert len(pooling) == 2
    tokens = [0] * len(plan)
    assert space.decode(tokens).pool_after == ()
    tokens[pooling[1]] = 1
    assert space.decode(tokens).pool_after == (1,)


def test_the_place_of_pooling_is_either_fixed_or_decided():
    with pytest.raises(ValueError, match="pool_after: expected none where pool_decided is on"):
        ConvSpace(depth=4, pool_after=(1,), pool_decided=True)


@pytest.mark.parametrize(("field", "usual", "other"), [("activation", "relu", "gelu"), ("pooling", "max", "average")])
def test_activation_and_pooling_are_of_the_whole_space_and_change_no_digest_of_older_files(field, usual, other):
    """Tried: with the default among the fields written, every stored digest changes."""
    plain = ConvSpace(depth=2)
    space = replace(plain, **{field: other})
    tokens = (0,) * len(plain.plan())
    network = space.decode(tokens)
    assert getattr(network, field) == other
    assert field not in plain.decode(tokens).canonical_json()
    assert network.model_copy(update={field: usual}) == plain.decode(tokens)
    assert ConvArchitecture.model_validate_json(network.canonical_json()) == network
    assert space.encode(network) == tokens
    with pytest.raises(ArchitectureError, match="strides, pooling or an activation that this space cannot express"):
        plain.encode(network)
    with pytest.raises(ValueError, match=f"{field}: expected {usual} or {other}, got 'both'"):
        replace(plain, **{field: "both"})


def test_added_inputs_are_as_wide_as_the_widest_and_change_no_digest_of_older_files():
    """Tried: with the default among the fields written, every stored digest changes."""
    layers = (
        ConvLayer(filter_height=1, filter_width=1, filters=2),
        ConvLayer(filter_height=1, filter_width=1, filters=5, inputs=(0,)),
        ConvLayer(filter_height=1, filter_width=1, filters=3, inputs=(0, 1)),
    )
    plain = ConvArchitecture(layers=layers)
    added = plain.model_copy(update={"joins": "add"})
    assert "joins" not in plain.canonical_json()
    assert added.digest != plain.digest
    assert ConvArchitecture.model_validate_json(added.canonical_json()) == added
    image = Shape(3, 4, 4)
    assert ConvNet(plain, image, 2).layers[2].conv.in_channels == 7
    network = ConvNet(added, image, 2)
    assert network.layers[2].conv.in_channels == 5
    seen = []
    network.layers[2].register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    outputs = [[], []]
    for index in (0, 1):
        network.layers[index].register_forward_hook(lambda _, i, output, index=index: outputs[index].append(output))
    network(torch.randn(2, 3, 4, 4))
    first, second = outputs[0][0], outputs[1][0]
    expected = second.clone()
    expected[:, :2] += first
    assert torch.allclose(seen[0], expected)


def test_features_are_of_each_layer_and_maps_are_measured_by_the_image():
    """A 3x5 layer of 16 filters, which is pooled, and a separable 1x1 layer of 64 behind it."""
    layers = (
        ConvLayer(filter_height=3, filter_width=5, filters=16, inputs=()),
        ConvLayer(layer_type="separable", filter_height=1, filter_width=1, filters=64, inputs=(0,)),
    )
    network = ConvArchitecture(layers=layers, pool_after=(0,))
    assert layer_features(network) == (0, 3, 5, 15, 4, 0, 0, 1, 1, 1, 1, 1, 6, -1, 1, 0, 1)


def test_a_filled_networks_features_are_those_of_its_own_widths():
    shapes = ConvSpace(depth=2, filters=(8, 16))
    tokens = uniform_tokens(shapes.plan(), Random(0))
    wider = FilledSpace(shapes=shapes, budget=Budget(multiply_adds=3_000_000, image=Shape(3, 8, 8), classes=10))
    assert wider.features(wider.plan(), tokens) == layer_features(wider.decode(tokens))
    assert wider.features(wider.plan(), tokens)[4] > shapes.features(shapes.plan(), tokens)[4]
