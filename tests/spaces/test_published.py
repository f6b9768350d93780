"""Figure 7 against the numbers of the paper and against the file read from its PDF."""

import json
import os
from pathlib import Path

import pytest
import torch

from netwright.children.conv_net import ConvNet
from netwright.errors import ArchitectureError
from netwright.spaces.cost import Shape, cost
from netwright.spaces.published import PUBLISHED, published

CIFAR10 = Shape(3, 32, 32)


def test_figure7_has_the_papers_parameters():
    # Convolutions 4,199,868, batch normalisation 1,272, classifier 48 x 10 + 10 (paper.md 2.5).
    assert 4_199_868 + 1_272 + 48 * 10 + 10 == 4_201_630
    assert cost(published("figure7"), CIFAR10, 10).parameters == 4_201_630


def test_figure7_as_a_torch_module_has_them_too():
    with torch.device("meta"):
        network = ConvNet(published("figure7"), CIFAR10, 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_201_630
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert sum(p.numel() for m in convolutions for p in m.parameters()) == 4_199_868
    assert sum(p.numel() for m in norms for p in m.parameters()) == 1_272


def test_figure7_multiplies_about_4_3_billion_times():
    assert round(cost(published("figure7"), CIFAR10, 10).multiply_adds / 1e9, 1) == 4.3


@pytest.mark.parametrize(("name", "millions"), [("figure7-dense", 6.63), ("figure7-chain", 0.81)])
def test_its_perturbations_have_the_derived_sizes(name, millions):
    assert round(cost(published(name), CIFAR10, 10).parameters / 1e6, 2) == millions


def test_figure7_has_65_edges_and_one_output():
    architecture = published("figure7")
    assert sum(len(layer.inputs) for layer in architecture.layers) == 65
    assert all(index - 1 in layer.inputs for index, layer in enumerate(architecture.layers) if index)
    assert architecture.outputs == (14,)


@pytest.mark.data
def test_figure7_is_as_read_from_the_pdf():
    if "NETWRIGHT_DATA" not in os.environ:
        pytest.skip("NETWRIGHT_DATA is not set")
    figure = json.loads((Path(os.environ["NETWRIGHT_DATA"]) / "paper" / "figure7.json").read_text())
    layers = published("figure7").layers
    assert [[layer.filter_height, layer.filter_width, layer.filters] for layer in layers] == figure["layers"]
    ours = {str(n): [source + 1 for source in layer.inputs] or ["image"] for n, layer in enumerate(layers, 1)}
    assert ours == figure["inputs"]


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ArchitectureError, match="figure7-dense"):
        published("figure8")


def test_all_names_can_be_built():
    assert all(published(name).canonical_json() for name in PUBLISHED)
