"""The convolutional child: the compile rules, on numbers small enough to follow."""

import pytest
import torch

from netwright.children.conv_net import ConvNet, same_padding
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.spaces.cost import Shape
from netwright.spaces.published import published


def layer(filters, *inputs, size=(1, 1), stride=(1, 1)):
    return ConvLayer(
        filter_height=size[0],
        filter_width=size[1],
        stride_height=stride[0],
        stride_width=stride[1],
        filters=filters,
        inputs=inputs,
    )


SMALL = Shape(1, 4, 4)


def make(layers, image=SMALL, classes=2, **more):
    return ConvNet(ConvArchitecture(layers=tuple(layers), **more), image, classes)


def inputs_of(network, images):
    """What each layer and the classifier are fed."""
    seen = []
    for module in (*network.layers, network.classifier):
        module.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].detach().clone()))
    network.eval()(images)
    return seen


@pytest.mark.parametrize(
    ("size", "filter_size", "stride", "padding"),
    # TensorFlow's SAME: total = max((ceil(n/s) - 1) s + k - n, 0), the smaller half first.
    [(8, 3, 1, (1, 1)), (8, 1, 1, (0, 0)), (8, 7, 1, (3, 3)), (8, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (8, 1, 3, (0, 0)),
     (8, 5, 3, (1, 2)), (1, 7, 1, (3, 3)), (1, 7, 3, (3, 3)), (2, 1, 2, (0, 0))],
)  # fmt: skip
def test_same_padding(size, filter_size, stride, padding):
    assert same_padding(size, filter_size, stride) == padding


def test_a_filter_is_height_by_width():
    network = make([layer(2, size=(3, 7))], Shape(3, 9, 5))
    assert network.layers[0].conv.weight.shape == (2, 3, 3, 7)


def test_a_layer_is_convolution_batch_norm_relu_without_bias():
    network = make([layer(2, size=(3, 3))])
    block = network.layers[0]
    assert block.conv.bias is None
    block.eval()
    images = torch.randn(2, 1, 4, 4)
    block.norm.running_mean.fill_(0.3)
    block.norm.running_var.fill_(4.0)
    expected = torch.relu((block.conv(images) - 0.3) / (4.0 + block.norm.eps) ** 0.5)
    torch.testing.assert_close(block(images), expected)


def test_the_activation_is_that_of_the_architecture():
    """GELU is x times the share of a standard normal distribution below x."""
    images = torch.randn(2, 1, 4, 4)
    relu, gelu = (make([layer(2, size=(3, 3))], activation=name).layers[0].eval() for name in ("relu", "gelu"))
    gelu.load_state_dict(relu.state_dict())
    normed = relu.norm(relu.conv(images))
    torch.testing.assert_close(gelu(images), normed * torch.special.ndtr(normed))
    torch.testing.assert_close(relu(images), normed.clamp(min=0))


def test_a_map_is_pooled_as_the_architecture_says_and_at_an_odd_edge_by_the_pixels_that_there_are():
    image = torch.tensor([[[[1.0, 2.0, 6.0], [3.0, 6.0, 8.0], [5.0, 7.0, 9.0]]]])
    pooled = {}
    for pooling in ("max", "average"):
        network = make([layer(1), layer(1)], Shape(1, 3, 3), pool_after=(0,), skip_over_pool="pool", pooling=pooling)
        pooled[pooling] = inputs_of(network, image)[1].flatten().tolist()
    assert pooled == {"max": [6, 8, 7, 9], "average": [3, 7, 6, 9]}


def test_inputs_are_concatenated_in_order_and_a_layer_without_any_reads_the_image():
    network = make([layer(2), layer(3), layer(1, 0, 1)])
    images = torch.randn(2, 1, 4, 4)
    first, second, third, _ = inputs_of(network, images)
    assert torch.equal(first, images)
    assert torch.equal(second, images)
    with torch.no_grad():
        expected = torch.cat([network.layers[0](images), network.layers[1](images)], 1)
    assert torch.equal(third, expected)


def test_smaller_maps_are_padded_with_zeros_at_bottom_and_right():
    network = make([layer(1, stride=(2, 2)), layer(1), layer(1, 0, 1)])
    images = torch.rand(1, 1, 4, 4) + 1
    with torch.no_grad():
        network.layers[0].conv.weight.fill_(1.0)
    _, _, joined, _ = inputs_of(network, images)
    assert joined.shape == (1, 2, 4, 4)
    assert (joined[0, 0, :2, :2] > 0).all()
    assert (joined[0, 0, 2:] == 0).all()
    assert (joined[0, 0, :, 2:] == 0).all()


def test_unconsumed_outputs_all_go_to_the_classifier_as_averages():
    network = make([layer(2), layer(3), layer(4, 0)])
    images = torch.randn(2, 1, 4, 4)
    *_, features = inputs_of(network, images)
    with torch.no_grad():
        one = network.layers[1](images).mean((2, 3))
        two = network.layers[2](network.layers[0](images)).mean((2, 3))
    torch.testing.assert_close(features, torch.cat([one, two], 1))


@pytest.mark.parametrize(("how", "side"), [("pad", 4), ("pool", 2)])
def test_what_a_skip_over_a_pooling_layer_brings(how, side):
    """Layer 1 is pooled; layer 0 skips over that to layer 2: its full map, or that pooled as well."""
    network = make([layer(1), layer(1, 0), layer(1, 0, 1)], pool_after=(1,), skip_over_pool=how)
    images = torch.randn(1, 1, 4, 4)
    _, _, joined, _ = inputs_of(network, images)
    with torch.no_grad():
        first = network.layers[0](images)
        second = network.layers[1](first)
    pooled = torch.nn.functional.max_pool2d(second, 2)
    assert joined.shape == (1, 2, side, side)
    torch.testing.assert_close(joined[:, 1:, :2, :2], pooled)
    expected = first if how == "pad" else torch.nn.functional.max_pool2d(first, 2)
    torch.testing.assert_close(joined[:, :1], expected)


def test_the_generator_alone_decides_the_weights():
    def weights(seed):
        architecture = ConvArchitecture(layers=(layer(4, size=(3, 3)), layer(4, 0)))
        network = ConvNet(architecture, Shape(1, 4, 4), 2, generator=torch.Generator().manual_seed(seed))
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_weights_start_as_he_et_al_say():
    network = make([layer(64, size=(5, 5)), layer(64, 0, size=(5, 5))])
    weight = network.layers[1].conv.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 25)) ** 0.5, rel=0.02)
    assert (network.classifier.bias == 0).all()


def test_figure7_answers_on_cifar_images():
    network = ConvNet(published("figure7"), Shape(3, 32, 32), 10).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, 32, 32)).shape == (1, 10)


def test_gradients_have_the_layout_of_the_maps():
    """With any other layout ReLU and batch normalisation take up to twenty times as long.

    Fails with ``final.mean((2, 3))`` for the average, and with ``torch.cat`` for the concatenation.
    """
    sizes = {0: (), 1: (0,), 2: (0, 1), 3: (1, 2), 4: ()}
    network = make([layer(8 + 4 * index, *inputs, size=(3, 3)) for index, inputs in sizes.items()], Shape(3, 8, 8))
    layouts = []
    for block in network.layers:
        block.register_full_backward_hook(
            lambda _, inputs, outputs: layouts.append(outputs[0].is_contiguous(memory_format=torch.channels_last))
        )
    network.to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    network(images).sum().backward()
    assert layouts == [True] * 5
