"""Exported networks: the same outputs as in the library, and nothing of a file that is executed."""

import ast
from itertools import cycle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.children.augment import center_crop
from netwright.children.conv_net import ConvNet
from netwright.children.image_training import enlarged
from netwright.config import ExperimentConfig, ImageTraining
from netwright.errors import UsageError
from netwright.export.conv import conv_source, conv_weights
from netwright.networks.network import Network
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape
from netwright.tasks import IMAGES

VARIANTS = {
    "v1 fixed strides": ConvSpace(depth=5, filters=(4, 6)),
    "v2 predicted strides": ConvSpace(depth=5, filters=(4, 6), strides=(1, 2, 3)),
    "v3 blocks and pooling": ConvSpace(depth=4, filters=(2, 4), block=3, pool_after=(1, 2)),
    "v3 skips are pooled": ConvSpace(depth=4, filters=(2, 4), block=3, pool_after=(1, 2), skip_over_pool="pool"),
    "pooling decided": ConvSpace(depth=5, filters=(2, 4), pool_decided=True, skip_over_pool="pool"),
    "no anchors": ConvSpace(depth=3, filters=(4, 6), anchors=False, strides=(1, 2)),
    "layer types": ConvSpace(depth=4, layer_types=("conv", "separable"), filters=(4, 6), strides=(1, 2)),
    "GELU": ConvSpace(depth=4, layer_types=("conv", "separable"), filters=(4, 6), activation="gelu"),
    "average pooling": ConvSpace(depth=5, filters=(2, 4), pool_decided=True, skip_over_pool="pool", pooling="average"),
}
variants = pytest.mark.parametrize("space", VARIANTS.values(), ids=VARIANTS.keys())


@st.composite
def strings(draw, space):
    """Tokens of any size of a space."""
    plan = space.plan(draw(st.integers(1, space.depth)))
    return tuple(draw(st.integers(0, decision.cardinality - 1)) for decision in plan)


def run(source):
    """The names that a ``model.py`` defines."""
    names = {"__name__": "model"}
    exec(compile(source, "model.py", "exec"), names)
    return names


def trained(architecture, image, classes, settings, seed=0):
    """A network whose every weight and running statistic was drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    network = ConvNet(architecture, image, classes, batch_norm_eps=settings.batch_norm_eps, generator=generator)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            torch.nn.init.normal_(module.bias, generator=generator)
    return network.eval()


@variants
@settings(max_examples=20)
@given(data=st.data())
def test_the_exported_source_computes_the_same(space, data):
    architecture = space.decode(data.draw(strings(space)))
    image = Shape(*data.draw(st.sampled_from([(1, 8, 8), (3, 9, 7), (3, 16, 16)])))
    how = ImageTraining(upsample=data.draw(st.sampled_from([1.0, 1.25])), batch_norm_eps=1e-3)
    network = trained(architecture, image, 3, how)
    names = run(conv_source(architecture, image, ["a", "b", "c"], how))
    exported = names["Network"]().eval()
    exported.load_state_dict(conv_weights(network.state_dict()))
    images = torch.randint(256, (2, *image), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        prepared = center_crop(enlarged(images, how), image.height, image.width)
        assert torch.equal(names["prepare"](images), prepared)
        expected = network(prepared)
        torch.testing.assert_close(exported(prepared), expected, rtol=1e-6, atol=1e-6 * max(1.0, expected.abs().max()))


@settings(max_examples=30)
@given(classes=st.lists(st.text(max_size=40), min_size=2, max_size=4))
def test_names_of_classes_stay_text(classes):
    classes = [*classes, '"""', "\n__import__('os').abort()\n", "{eps}", "../x"]
    architecture = VARIANTS["no anchors"].decode([0, 0, 0, 0, 0])
    source = conv_source(architecture, Shape(1, 8, 8), classes, ImageTraining())
    assert run(source)["CLASSES"] == tuple(classes)
    at_import = ast.parse(source).body
    imported = {name.name for node in at_import if isinstance(node, ast.Import) for name in node.names}
    modules = {node.module for node in at_import if isinstance(node, ast.ImportFrom)}
    assert imported | modules == {"torch", "torch.nn", "sys", "pathlib", "collections.abc"}


def found(architecture, weights=None, upsample=1.25):
    config = ExperimentConfig(name="test", child=ImageTraining(upsample=upsample))
    task = {"image": [3, 8, 8], "classes": ["a", "b"]}
    return Network(architecture=architecture, task=task, config=config, kind=IMAGES, weights=weights)


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "upsample"), list(zip(VARIANTS, cycle([1.0, 1.25]), strict=False)))
def test_onnx_gives_the_logits_of_pytorch(variant, upsample):
    onnxruntime = pytest.importorskip("onnxruntime")
    safetensors = pytest.importorskip("safetensors.torch")
    space = VARIANTS[variant]
    plan = space.plan()
    architecture = space.decode([(7 * step + 1) % decision.cardinality for step, decision in enumerate(plan)])
    how = ImageTraining(upsample=upsample)
    network = trained(architecture, Shape(3, 8, 8), 2, how)
    files = found(architecture, safetensors.save(network.state_dict()), upsample).files(onnx=True)
    session = onnxruntime.InferenceSession(files["model.onnx"], providers=["CPUExecutionProvider"])
    for count in (1, 5):  # as many images at a time as one likes
        images = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8)
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        with torch.inference_mode():
            expected = network(center_crop(enlarged(images, how), 8, 8))
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_exported_is_refused():
    architecture = VARIANTS["no anchors"].decode([0, 0, 0, 0, 0])
    assert set(found(architecture).files()) == {"architecture.json", "model.py"}
    with pytest.raises(UsageError, match="none yet"):
        found(architecture).files(onnx=True)
    with pytest.raises(UsageError, match="kind 'choice'"):
        found(ChoiceArchitecture(space="s", choices=())).files()
