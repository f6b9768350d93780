"""Trained weights on disk: what is damaged is refused by name, and costs that export only."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwright.config import ImageTraining
from netwright.errors import StorageError
from netwright.networks.network import Network
from netwright.networks.tensor_file import load_tensors, save_tensors
from netwright.recipes import find_recipe
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.tasks import IMAGES

TENSORS = {"w": torch.arange(12.0).reshape(3, 4), "n": torch.tensor(7), "b": torch.tensor([True, False])}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_tensors(path, TENSORS)
    return path.read_bytes()


def test_what_is_written_is_read_also_by_others(written):
    import safetensors.torch

    for tensors in (load_tensors(written, "w"), safetensors.torch.load(written)):
        assert tensors.keys() == TENSORS.keys()
        assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


def test_files_of_others_are_read_without_a_digest(tmp_path):
    import safetensors.torch

    assert torch.equal(load_tensors(safetensors.torch.save(TENSORS), "w")["w"], TENSORS["w"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_a_flipped_or_missing_byte_is_noticed(written, data):
    """Tried: without the digest, every flip among the numbers goes unnoticed."""
    content = bytearray(written)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    try:
        tensors = load_tensors(bytes(content), "somewhere")
    except StorageError as error:
        assert str(error).startswith("somewhere: damaged")  # noqa: PT017
    else:  # the flip hit the name under which the digest stands, or a blank
        assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


def test_an_export_of_damaged_weights_fails_with_4_and_says_what_to_do(tmp_path):
    """Tried: without the digest, it exports a network that computes something else."""
    config = find_recipe("digits").model_copy(update={"child": ImageTraining()})
    architecture = ConvArchitecture(layers=(ConvLayer(filter_height=3, filter_width=3, filters=8),))
    task = {"image": [1, 8, 8], "classes": list("0123456789")}
    network = Network(architecture=architecture, task=task, config=config, kind=IMAGES, training=tmp_path)
    save_tensors(tmp_path / "model.safetensors", network.build().state_dict())
    content = bytearray((tmp_path / "model.safetensors").read_bytes())
    whole = Network(
        architecture=architecture, task=task, config=config, kind=IMAGES, training=tmp_path, weights=bytes(content)
    )
    assert not whole.build().training
    content[-20] ^= 64
    damaged = Network(
        architecture=architecture, task=task, config=config, kind=IMAGES, training=tmp_path, weights=bytes(content)
    )
    with pytest.raises(StorageError, match=r"damaged: the numbers are not those.*train it again") as error:
        damaged.build()
    assert error.value.exit_code == 4
    assert str(tmp_path) in str(error.value)
