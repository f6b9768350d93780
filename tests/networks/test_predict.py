"""What a trained network takes pictures for: the library, an exported ``model.py`` and ONNX agree on every picture."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.commands import netwright
from netwright.children.image_training import accuracy
from netwright.cli.main import app
from netwright.data import decoding, from_tensors
from netwright.data.pictures import read_pictures
from netwright.errors import DataError, UsageError
from netwright.networks.finding import find_network

SIDE = 8
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-the-network.md"


@pytest.fixture
def network(run, data):
    return find_network(str(run)).train(epochs=2, data=data)


@pytest.fixture
def pictures(tmp_path):
    """Of every kind that is read, uneven in size: grey, colour, palette, alpha, 16 bits, turned by EXIF, WebP."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    (folder / "._grey.jpg").write_bytes(b"left by a system, and no picture")
    random = np.random.default_rng(1)

    def noise(*shape):
        return Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8))

    noise(12, 9).save(folder / "grey.png")
    noise(8, 8).save(folder / "as it is.png")
    noise(20, 31, 3).save(folder / "colour.jpg")
    noise(20, 31, 3).convert("P").save(folder / "palette.gif")
    noise(9, 9, 4).save(folder / "alpha.png")
    noise(7, 16, 3).save(folder / "below" / "web.webp")
    Image.fromarray(random.integers(0, 2**16, (10, 13)).astype(np.uint16)).save(folder / "deep.png")
    turned = noise(8, 24, 3)
    turned.getexif()[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=turned.getexif())
    return folder


def exported(network, folder):
    network.export(folder)
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_model_py_reads_every_kind_of_picture_as_the_library_does(network, pictures, tmp_path):
    """Tried: without the turning by EXIF, the white behind alpha, or the high byte of 16 bits, it fails."""
    found = network.predict(pictures)
    assert [prediction.name for prediction in found] == [str(path) for path in sorted(pictures.rglob("[!.]*.*"))]
    module = exported(network, tmp_path / "export")
    theirs = module.predict([prediction.name for prediction in found], module.load())
    assert len(found) == len(theirs) == 8
    for prediction, probabilities in zip(found, theirs, strict=True):
        assert prediction.label == next(iter(probabilities))
        assert prediction.probabilities == pytest.approx(probabilities, abs=1e-6)
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_model_py_scales_deep_pictures_as_those_that_were_learned_from(network, tmp_path):
    """Of 12 bits. Tried: by the high byte of 16 bits, 16 levels of grey are left."""
    deep = np.random.default_rng(2).integers(0, 2**12, (8, 8)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    module = exported(replace(network, task={**network.task, "bits": 12}), tmp_path / "export")
    assert module.read(tmp_path / "deep.png").flatten().tolist() == (deep >> 4).flatten().tolist()


def test_model_py_on_the_command_line(network, pictures, tmp_path):
    """Tried: with all files in one batch, the first that is damaged ends all with a traceback."""
    module = exported(network, tmp_path / "export")
    Image.fromarray(np.zeros((8, 8), np.float32)).save(pictures / "depth.tif")
    (pictures / "broken.png").write_bytes(b"no picture")
    odd = os.fsdecode(b"caf\xe9.png")  # no text
    Image.new("L", (8, 8)).save(pictures / odd)
    names = ["broken.png", "grey.png", "depth.tif", odd, "nowhere.png"]

    def asked(*names):
        command = [sys.executable, tmp_path / "export" / "model.py", *names]
        return subprocess.run(command, cwd=pictures, capture_output=True, text=True, check=False)

    done = asked(*names)
    assert done.returncode == 1
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == ["grey.png", r"caf\udce9.png"]
    told = done.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == ["broken.png", "depth.tif", "nowhere.png"]
    assert "floating-point pixels" in told[1]
    done = asked("grey.png")
    assert (done.returncode, done.stderr) == (0, "")
    done = asked()
    assert done.returncode == 1
    assert done.stderr == f"usage: python {tmp_path / 'export' / 'model.py'} PICTURE...\n"
    Image.fromarray(np.full((8, 8), 2**20, np.int32)).save(pictures / "wide.tif")
    with pytest.raises(ValueError, match="32-bit pixels"):
        module.read(pictures / "wide.tif")


@pytest.mark.slow
def test_onnx_agrees_and_says_what_its_logits_are(network, pictures, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    module = exported(network, tmp_path / "export")
    network.export(tmp_path / "export", onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "export" / "model.onnx", providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["even", "odd"]
    assert metadata["images"] == (
        "grey, 8 rows, 8 columns, 0 to 255 (of deeper pixels the upper 8 of 16 bits); upright by EXIF, transparency on "
        "white, resized bilinear with antialiasing, as Pillow shrinks"
    )
    for prediction in network.predict(pictures):
        (logits,) = session.run(["logits"], {"images": module.read(prediction.name).numpy()})
        chances = torch.from_numpy(logits)[0].softmax(0).tolist()
        assert dict(zip(["even", "odd"], chances, strict=True)) == pytest.approx(prediction.probabilities, abs=1e-4)


def the_recipe():
    """``read`` of the page, which prepares pictures for ``model.onnx``."""
    [block] = [text for text in PAGE.read_text(encoding="utf-8").split("```python\n") if "InferenceSession" in text]
    tree = ast.parse(block.partition("```")[0])
    packages = {"numpy", "PIL"}
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.ImportFrom) and node.module in packages)
        or (isinstance(node, ast.Import) and node.names[0].name in packages)
    ]
    names = {}
    exec(compile(tree, str(PAGE), "exec"), names)
    return names["read"]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_recipe_for_onnx_prepares_pictures_as_training_does(pictures, channels):
    """Tried: with Pillow's own resize, which is bicubic, and without what lies behind alpha, others come out."""
    files = sorted(path for path in pictures.rglob("[!.]*.*"))
    assert len(files) == 8
    read = the_recipe()
    for file in files:
        _, expected = read_pictures([file], (channels, 6, SIDE))
        assert np.array_equal(read(file, channels, 6, SIDE), expected.numpy()), file.name
    deep = [pictures / "deep.png"]
    assert np.array_equal(read(*deep, 1, 6, SIDE, bits=12), read_pictures(deep, (1, 6, SIDE), bits=12)[1].numpy())


def test_arrays_are_told_apart_as_in_the_test(network, data):
    """Tried: without the preparation of the images, most of them are taken for one class."""
    found = network.predict(data.test.images)
    right = [int(prediction.label == data.classes[y]) for prediction, y in zip(found, data.test.labels, strict=True)]
    module, settings = network.build(), network.config.child
    assert sum(right) / len(right) == accuracy(module, data.test, settings, device=torch.device("cpu"))
    as_floats = network.predict(data.test.images[:, 0].numpy() / 255)
    assert as_floats == found


@pytest.mark.parametrize("channels", [2, 4])
def test_a_network_of_other_channels_than_pictures_have_is_asked_with_arrays(run, pictures, tmp_path, capsys, channels):
    """Tried: a grey picture is repeated, a coloured one has too many channels, and of arrays nobody hears."""
    images, labels = np.random.default_rng(0).random((40, channels, 8, 8)), np.arange(40) % 2
    data = from_tensors(images, labels, validation=10)
    network = find_network(str(run)).train(epochs=1, data=data)
    for files in (pictures, pictures / "grey.png"):
        with pytest.raises(DataError, match=rf"got one of {channels} channels; give arrays .* \[N, {channels}, 8, 8\]"):
            network.predict(files)
    assert len(network.predict(images[:3])) == 3
    app(["export", str(run), "--to", str(tmp_path / "export")], standalone_mode=False)
    assert "model.py" not in capsys.readouterr().err
    assert (network.asked_by, network.asked_alone) == (None, None)


def test_what_cannot_be_predicted_is_refused(run, network, pictures, tmp_path):
    with pytest.raises(
        UsageError, match=r"not trained yet; first: netwright train \S+/run/trials/0 \(in Python network\.train"
    ):
        find_network(str(run)).predict(pictures)
    with pytest.raises(DataError, match=r"no such file or folder"):
        network.predict("nowhere.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected pictures .* found none"):
        network.predict(tmp_path / "empty")
    with pytest.raises(DataError, match=r"expected images \[N, 1, 8, 8\], got \[2, 3, 8, 8\]"):
        network.predict(np.zeros((2, 3, 8, 8), np.uint8))
    broken = pictures / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png is no image .*; to go on without it, .*on_defect=print\)$"):
        network.predict(pictures)
    told = []
    assert len(network.predict(pictures, on_defect=lambda *what: told.append(what))) == 8
    assert [name for name, _ in told] == [str(broken)]
    assert network.predict(broken, on_defect=lambda *what: None) == []


def test_pictures_in_formats_that_are_not_read_are_named(run, network, pictures, capsys):
    """Tried: left out of a folder by their endings, nobody hears of them."""
    called = {"phone.HEIC": "HEIC", "scan.dcm": "DICOM", "camera.nef": "the raw data of a camera"}
    for name in called:
        (pictures / name).write_bytes(b"what such a file holds")
    (pictures / "notes.txt").write_text("no picture")
    told = {}
    assert len(network.predict(pictures, on_defect=told.__setitem__)) == 8
    fix = "which is not read; convert it to PNG or JPEG"
    assert told == {str(pictures / name): f"is {what}, {fix}" for name, what in called.items()}
    with pytest.raises(DataError, match=r"3 of 11 files cannot be read; they are named above"):
        app(["predict", str(run), str(pictures)], standalone_mode=False)
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_files_are_read_a_few_at_a_time(network, pictures, monkeypatch):
    """Tried: with all of them read first, the second batch is there before the first answer."""
    monkeypatch.setattr("netwright.tasks.images.PICTURES_AT_A_TIME", 3)
    read = []
    decode = decoding.decode_file
    monkeypatch.setattr("netwright.data.pictures.decode_file", lambda *what: read.append(what) or decode(*what))
    found = network.predictions(pictures)
    first = next(found)
    assert len(read) == 3
    assert [first, *found] == network.predict(pictures)


def test_names_that_are_no_text_or_give_orders_are_spelled_out(run, network, tmp_path, capsys):
    """Tried: printed as they are, the first ends the command in the middle, the second clears the screen."""
    del network
    for name in (b"caf\xe9.png", b"\x1b[2J\nmore.png", b"broken \xe9\x1b.png"):
        Image.new("L", (8, 8)).save(tmp_path / os.fsdecode(name))
    (tmp_path / os.fsdecode(b"broken \xe9\x1b.png")).write_bytes(b"no picture")
    names = sorted(tmp_path.glob("*.png"))
    with pytest.raises(DataError, match="1 of 3 files"):
        app(["predict", str(run), *map(str, names)], standalone_mode=False)
    out, err = capsys.readouterr()
    assert [line.split("  ")[0].rstrip() for line in out.splitlines()] == [
        f"{tmp_path}/\\x1b[2J\\x0amore.png", f"{tmp_path}/caf\\udce9.png"
    ]  # fmt: skip
    assert err.startswith(f"{tmp_path}/broken \\udce9\\x1b.png is no image")


def test_the_command(run, network, pictures, capsys):
    del network  # which has left its weights in the run
    (pictures / "broken.png").write_bytes(b"no picture")
    done = netwright("predict", run, pictures / "grey.png", pictures / "below", "--top", 2)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        str(pictures / "grey.png"), str(pictures / "below" / "web.webp")
    ]  # fmt: skip
    assert all("even 0." in line and "odd 0." in line for line in done.stdout.splitlines())
    done = netwright("predict", run, pictures, "--json")
    assert done.returncode == 2
    assert "broken.png is no image" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: 1 of 9 files cannot be read; they are named above"
    found = json.loads(done.stdout)
    assert len(found) == 8
    for one in found:
        assert {label for label, _ in one["top"]} == {"even", "odd"}
        assert one["top"][0] == [one["class"], one["probability"]]
    with pytest.raises(DataError, match="1 of 1 files"):
        app(["predict", str(run), str(pictures / "broken.png"), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == []
