"""Data that were moved are known again by their content; others are refused, whatever they are called."""

import json
import shutil
import tomllib

import numpy as np
import pytest
from PIL import Image

import netwright
from helpers.commands import SMALL_RECIPE
from helpers.eight_bits import without_onnx
from netwright.cli.main import app
from netwright.data.fingerprint import differences, fingerprint
from netwright.data.images import load_images
from netwright.errors import DamagedWeightsError, DataError, UsageError
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.tasks import IMAGES


@pytest.fixture(autouse=True)
def no_children(monkeypatch, tmp_path):
    """Searches end before their first trial: what matters here is decided by then."""
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("netwright.cli.search.conduct", lambda folder, config, parts, **_: folder.set_config(config))
    monkeypatch.setattr("netwright.cli.verdict.conduct", lambda folder, config, parts, **_: folder.set_config(config))
    monkeypatch.setattr("netwright.library.run", lambda *arguments, **options: None)


def draw(folder, classes=("cats", "dogs")):
    """Twelve pictures of each class."""
    random = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def call(*arguments):
    return app([str(argument) for argument in arguments], standalone_mode=False)


def source_of(folder):
    return tomllib.loads((folder / "config.toml").read_text())["data"]["source"]


@pytest.fixture
def begun(tmp_path):
    """A search on a folder that was moved since: the run, where the pictures were, and where they are."""
    before, run = draw(tmp_path / "photos"), tmp_path / "run"
    call("search", SMALL_RECIPE, "--data", f"images:{before}", "--out", run, "--workers", 1)
    shutil.move(before, tmp_path / "disk")
    return run, before, tmp_path / "disk"


def test_a_search_goes_on_with_the_same_pictures_from_elsewhere(begun):
    """Tried: with ``data.source`` among the fixed settings, it is another search."""
    run, before, now = begun
    with pytest.raises(DataError, match="photos"):
        call("search", "--resume", run)
    call("search", "--resume", run, "--data", f"images:{now}")
    assert source_of(run) == f"images:{now}"
    call("search", "--resume", run)
    shutil.move(now, before)
    with pytest.raises(UsageError, match="there is no verdict: the search found no network"):
        call("verdict", run, "--data", f"images:{before}", "--quiet")
    assert source_of(run) == f"images:{before}"
    with pytest.raises(UsageError, match="RECIPE, --seed, --no-verdict: fixed when the run began"):
        call("search", "digits", "--resume", run, "--seed", 3, "--no-verdict")


def test_other_pictures_are_refused_and_what_differs_is_named(begun):
    """Tried: without the comparison, the search goes on with them; with that of classes alone, with another picture."""
    run, before, now = begun
    draw(now / "more", classes=("birds",))
    shutil.move(now / "more" / "birds", now / "birds")
    shutil.rmtree(now / "more")
    with pytest.raises(DataError, match=r"run began with: classes: 3, and was 2; new: 'birds'\. Put the data back"):
        call("search", "--resume", run, "--data", f"images:{now}")
    shutil.rmtree(now / "birds")
    Image.new("L", (8, 8), 7).save(now / "cats" / "0.png")
    with pytest.raises(DataError, match=r'other examples.* delete "fingerprint" from .*task\.json'):
        call("search", "--resume", run, "--data", f"images:{now}")
    shutil.move(now, before)  # also where the source has the same name
    with pytest.raises(DataError, match="other examples"):
        call("search", "--resume", run)
    assert source_of(run) == f"images:{before}"


def test_a_run_of_an_older_version_goes_on_with_the_source_that_it_has(begun):
    """Tried: with the fingerprint required, it fails."""
    run, before, now = begun
    task = json.loads((run / "task.json").read_text())
    del task["fingerprint"]
    (run / "task.json").write_text(json.dumps(task))
    with pytest.raises(UsageError, match=r"holds another search: data\.source is 'images:.*photos' there"):
        call("search", "--resume", run, "--data", f"images:{now}")
    shutil.move(now, before)
    Image.new("L", (8, 8), 7).save(before / "cats" / "0.png")
    call("search", "--resume", run)


@pytest.fixture
def trained(tmp_path):
    """A training on a folder that was moved since: its own folder, where the pictures were, and where they are."""
    before, training = draw(tmp_path / "photos"), tmp_path / "training"
    layer = ConvLayer(filter_height=3, filter_width=3, filters=4)
    (tmp_path / "architecture.json").write_text(ConvArchitecture(layers=(layer,)).canonical_json())
    settings = ["--recipe", SMALL_RECIPE, "--data", f"images:{before}", "--epochs", 1, "--set", "child.batch_size=4"]
    call("train", tmp_path / "architecture.json", *settings, "--out", training)
    return training, before, shutil.move(before, tmp_path / "disk")


def test_a_training_goes_on_with_the_same_pictures_from_elsewhere(trained):
    training, _, now = trained
    with pytest.raises(DataError, match="photos"):
        call("train", "--resume", training, "--seeds", 2)
    call("train", "--resume", training, "--seeds", 2, "--data", f"images:{now}")
    assert source_of(training) == f"images:{now}"
    assert (training / "seed-1" / "result.json").is_file()
    with pytest.raises(UsageError, match="--epochs: fixed when"):
        call("train", "--resume", training, "--epochs", 3)
    Image.new("L", (8, 8), 7).save(now / "cats" / "0.png")
    with pytest.raises(DataError, match="other examples"):
        call("train", "--resume", training, "--seeds", 3)


def test_an_export_in_eight_bits_is_made_with_the_pictures_of_the_training(trained, tmp_path, monkeypatch):
    """Tried: without the comparison, those that were added since are measured as a test part."""
    quantized = without_onnx(monkeypatch)
    training, before, now = trained
    export = ["export", training, "--to", tmp_path / "files", "--int8"]
    with pytest.raises(DataError, match=r"photos: .*name yours, e\.g\. --data images:DIR"):
        call(*export)
    call(*export, "--data", f"images:{now}")
    assert [data.name for data in quantized] == [f"images:{now}"]
    assert source_of(training) == f"images:{before}"  # an export writes nothing there
    Image.new("L", (8, 8), 7).save(now / "cats" / "12.png")
    with pytest.raises(DataError, match=r"not what \S+training began with: other examples"):
        call(*export, "--data", f"images:{now}")
    shutil.move(now, before)
    with pytest.raises(DataError, match="other examples"):
        call(*export)
    assert len(quantized) == 1


def test_damaged_weights_are_trained_again_with_the_same_pictures_from_elsewhere(trained, tmp_path):
    """Tried: without ``--data``, the command that the error recommends cannot be given."""
    training, _, now = trained
    weights = training / "seed-0" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    export = ["export", training, "--to", tmp_path / "files"]
    with pytest.raises(DamagedWeightsError, match=rf"--int8 --data images:{now} --retrain$"):
        call(*export, "--int8", "--data", f"images:{now}")
    with pytest.raises(DataError, match=r"name yours, e\.g\. --data images:DIR"):
        call(*export, "--retrain")
    call(*export, "--retrain", "--data", f"images:{now}")
    assert weights.read_bytes() == whole
    assert source_of(training) == f"images:{now}"


def test_data_are_named_only_where_an_export_reads_them(trained, tmp_path):
    export = ["--to", tmp_path / "files", "--data", f"images:{trained[2]}"]
    with pytest.raises(UsageError, match="--data: only with --int8 or --retrain"):
        call("export", trained[0], *export)
    with pytest.raises(UsageError, match="--data: nascell is no training"):
        call("export", "nascell", *export, "--int8")


def test_other_arrays_are_refused_from_python(tmp_path):
    random = np.random.default_rng(0)
    images, labels = random.random((40, 8, 8)), np.arange(40) % 2

    def search(images, labels):
        data = netwright.from_tensors(images, labels, validation=10)
        with netwright.run_search(SMALL_RECIPE, tmp_path / "run", data=data, settings={"search.workers": 1}):
            pass

    search(images, labels)
    search(images, labels)
    with pytest.raises(DataError, match=r"tensors: not what .* began with: other examples"):
        search(1 - images, labels)
    with pytest.raises(DataError, match=r"image was \[1, 8, 8\] and is \[1, 6, 8\]"):
        search(images[:, :6], labels)
    with pytest.raises(DataError, match="classes: 3, and was 2; new: '2'"):
        search(images, np.arange(40) % 3)


def test_what_differs_is_said_in_a_few_words():
    words = {"unit": "word", "vocabulary": ["<unk>", "<eos>", *"abcdef"]}
    assert differences(words, words) == []
    assert differences({}, words) == []
    assert differences(words, {**words, "unit": "character"}) == ["unit was 'word' and is 'character'"]
    fewer = {**words, "vocabulary": ["<unk>", "<eos>", "f", "x"]}
    assert differences(words, fewer) == ["vocabulary: 4, and was 8; new: 'x'; gone: 'a', 'b', 'c', and 2 more"]
    other_order = {**words, "vocabulary": ["<eos>", "<unk>", *"abcdef"]}
    assert differences(words, other_order) == ["vocabulary: in another order"]
    assert differences({"image": [1, 8, 8]}, {"image": (1, 8, 8)}) == []


def test_a_fingerprint_is_of_the_content(tmp_path):
    first = load_images(f"images:{draw(tmp_path / 'a')}")
    again = load_images(f"images:{draw(tmp_path / 'b')}")
    assert IMAGES.fingerprint(first) == IMAGES.fingerprint(again)
    tensors = [first.train.images, first.train.labels]
    several = {
        fingerprint("a", tensors),
        fingerprint("b", tensors),
        fingerprint("a", tensors[:1]),
        fingerprint("a", [first.train.images.flatten(), first.train.labels]),
        fingerprint("a", [first.train.images[:0], first.train.labels]),
    }
    assert len(several) == 5
