"""``netwright export --retrain``: damaged weights of a final training are made again, and nothing else is touched."""

import json
import shlex
import shutil

import pytest

from helpers.searching import create, go_on
from netwright.cli.epoch_lines import EpochLines
from netwright.cli.main import app
from netwright.errors import DamagedWeightsError, DataError, NetwrightError, StorageError, UsageError
from netwright.networks.finding import find_network
from netwright.spaces.architecture import ConvArchitecture, ConvLayer

SIZES = ["--recipe", "digits", "--epochs", "2", "--set", "data.train_limit=60", "--set", "child.batch_size=20"]


def call(*arguments):
    """A command in this process; its errors come as they are, and of Ctrl-C the exit code."""
    return app([str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training of two seeds."""
    folder = tmp_path_factory.mktemp("retrain")
    layer = ConvLayer(filter_height=3, filter_width=3, filters=4)
    (folder / "architecture.json").write_text(ConvArchitecture(layers=(layer,)).canonical_json())
    call("train", folder / "architecture.json", *SIZES, "--seeds", 2, "--out", folder / "training")
    return folder / "training"


@pytest.fixture
def training(trained, tmp_path):
    """A copy of it, in a folder whose name needs quoting."""
    return shutil.copytree(trained, tmp_path / "a training")


def flipped(place):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[int(place * (len(content) - 1))] ^= 64
        path.write_bytes(content)

    return damage


DAMAGE = {
    "the length of the header": flipped(0.0),
    "the header": flipped(0.1),
    "a number": flipped(0.6),
    "the last number": flipped(1.0),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "of another network": lambda path: shutil.copy(path.with_name("other.safetensors"), path),
    "gone": lambda path: path.unlink(),
}


def everything(folder):
    """Every file of a folder with its content and its time of change."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", DAMAGE)
def test_the_command_of_the_error_trains_the_damaged_seed_again_and_exports(training, tmp_path, how):
    """The same weights to the bit; the other seed is not touched, and the damaged file is kept.

    Tried: it fails when the weights are not set aside first (nothing is trained), and when the command leaves out the
    seed (the other one is exported).
    """
    weights = training / "seed-1" / "model.safetensors"
    call("export", training, "--to", tmp_path / "before", "--seed", 1)
    _other_network(weights.with_name("other.safetensors"))
    whole = weights.read_bytes()
    others = everything(training / "seed-0")
    summary = (training / "result.json").read_bytes()
    DAMAGE[how](weights)
    damaged = weights.read_bytes() if weights.exists() else None
    with pytest.raises(DamagedWeightsError, match="train it again: netwright export") as error:
        call("export", training, "--to", tmp_path / "the export", "--seed", 1)
    assert error.value.exit_code == 4
    assert str(weights) in str(error.value)
    assert not (tmp_path / "the export").exists()
    program, *arguments = shlex.split(str(error.value).partition("train it again: ")[2])
    assert program == "netwright"
    call(*arguments)
    assert weights.read_bytes() == whole
    assert (training / "result.json").read_bytes() == summary
    assert everything(training / "seed-0") == others
    kept = weights.with_name("model.safetensors.corrupt-1")
    assert (kept.read_bytes() if kept.exists() else None) == damaged
    for file in (tmp_path / "before").iterdir():
        assert (tmp_path / "the export" / file.name).read_bytes() == file.read_bytes()


def _other_network(path):
    """Whole weights, which do not fit."""
    import torch

    from netwright.networks.tensor_file import save_tensors

    save_tensors(path, {"w": torch.zeros(3)})


def test_whole_weights_are_exported_as_they_are(training, tmp_path):
    before = everything(training)
    call("export", training, "--to", tmp_path / "exported", "--retrain")
    assert everything(training) == before


def test_stopped_it_goes_on_by_the_same_command(training, tmp_path, monkeypatch, capsys):
    """Tried: it fails when the checkpoint is thrown away with the damaged weights: the first epoch is trained twice."""
    weights = training / "seed-0" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    command = ["export", training, "--to", tmp_path / "exported", "--retrain"]
    show = EpochLines.show

    def stop(self, *epoch):
        show(self, *epoch)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(EpochLines, "show", stop)
        assert call(*command) == 130
    assert "the same command resumes" in capsys.readouterr().err
    with pytest.raises(DamagedWeightsError, match="No such file or directory; train it again"):
        find_network(str(training)).trained()
    call(*command)
    assert "epoch 1 " not in capsys.readouterr().err
    assert weights.read_bytes() == whole


def test_a_seed_that_was_never_trained_is_no_damage(training, tmp_path):
    with pytest.raises(UsageError, match="has not finished seed 7"):
        call("export", training, "--to", tmp_path / "exported", "--seed", 7, "--retrain")


@pytest.mark.parametrize("command", [["export", "--retrain", "--to"], ["train", "--resume"]])
def test_other_data_than_at_the_beginning_are_refused_and_nothing_is_set_aside(training, tmp_path, command):
    """Tried: without the check, the weights are trained on other classes, and do not fit those of the folder."""
    weights = training / "seed-0" / "model.safetensors"
    weights.write_bytes(b"")
    task = json.loads((training / "task.json").read_text())
    (training / "task.json").write_text(json.dumps(task | {"classes": task["classes"][:9]}))
    arguments = [training] if command[0] == "train" else [tmp_path / "exported", training]
    with pytest.raises(DataError, match=r"digits: not what .* began with: classes: 10, and was 9; new: '9'"):
        call(*command, *arguments)
    assert weights.exists()


def doctor(folder, capsys):
    """Exit code and words of ``netwright doctor``."""
    capsys.readouterr()
    try:
        call("doctor", folder)
    except NetwrightError as error:
        return error.exit_code, str(error)
    return 0, capsys.readouterr().out


def test_a_flipped_bit_in_any_file_of_a_training_is_found(training, capsys):
    """Tried: without digests of a training, four in five are called whole: a figure of result.json, for example."""
    assert doctor(training, capsys) == (0, f"{training}: whole; 2 seeds trained\n")
    with pytest.raises(UsageError, match="is a training"):
        call("doctor", training, "--rebuild")
    files = [path for path in everything(training) if path.name != "lock"]
    assert len(files) == 9
    for path in files:
        whole = path.read_bytes()
        for position in range(0, len(whole), len(whole) // 9):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << position % 8
            path.write_bytes(flipped)
            code, said = doctor(training, capsys)
            assert (code, path.name in said) == (4, True), (path, position)
        path.write_bytes(whole)
    assert doctor(training, capsys)[0] == 0


def test_the_doctor_of_a_run_looks_into_its_trainings(training, tmp_path, capsys):
    run = tmp_path / "run"
    create(run).store.close()
    go_on(run, trials=6)
    shutil.copytree(training, run / "trials" / "2" / "training")
    assert doctor(run, capsys) == (0, f"{run}: whole; 6 trials, 1 update of the controller\n")
    damaged = run / "trials" / "2" / "training" / "seed-1" / "model.safetensors"
    flipped(0.5)(damaged)
    code, said = doctor(run, capsys)
    assert (code, str(damaged) in said) == (4, True)


def test_without_digests_nothing_is_called_whole(training, capsys):
    """Older versions wrote none, and somebody may have deleted them: flips of numbers may go unseen.

    Tried: before, the folder was called whole.
    """
    (training / "digests.json").unlink()
    code, said = doctor(training, capsys)
    assert code == 0
    assert "whole" not in said
    assert "no digests.json" in said
    call("train", "--resume", training, "--seeds", 3)  # goes on without
    assert not (training / "digests.json").exists()
    flipped(0.99)(training / "seed-2" / "model.safetensors")
    assert doctor(training, capsys)[0] == 4, "weights have a digest of their own"


RESULTS = {
    "nothing": "",
    "a list": "[]",
    "no seeds": '{"seeds": [], "test_mean": 0.5, "test_std": 0}',
    "a seed that is none": '{"seeds": [3], "test_mean": 0.5, "test_std": 0}',
    "no curve": '{"seeds": [{"seed": 0, "test": 0.5}], "test_mean": 0.5, "test_std": 0}',
    "a test that is a text": '{"seeds": [{"seed": 0, "curve": [], "test": "x"}], "test_mean": 0.5, "test_std": 0}',
    "a mean that is not finite": '{"seeds": [{"seed": 0, "curve": [], "test": 1}], "test_mean": NaN, "test_std": 0}',
    "a spread that is none": '{"seeds": [{"seed": 0, "curve": [], "test": 1}], "test_mean": 1, "test_std": []}',
    "deep": "[" * 100_000,
    "counts of half a class": '{"seeds": [{"seed": 0, "curve": [], "test": 1, "confusion": [[1, 2]]}], "test_mean": 1}',
    "negative counts": '{"seeds": [{"seed": 0, "curve": [], "test": 1, "confusion": [[-1]]}], "test_mean": 1}',
}


@pytest.mark.parametrize("content", RESULTS.values(), ids=RESULTS.keys())
def test_a_damaged_result_is_named_with_what_to_do(training, content):
    """Tried: without the reader, most of them are tracebacks of ``train --resume`` or of ``Network.test``."""
    (training / "result.json").write_text(content)
    with pytest.raises(StorageError, match=r"result\.json: damaged: .*netwright train --resume"):
        find_network(str(training)).test()
    (training / "seed-0" / "result.json").write_text(content)
    with pytest.raises(StorageError, match=r"seed-0/result\.json: damaged: .*delete it"):
        call("train", "--resume", training)
    (training / "seed-0" / "result.json").unlink()
    call("train", "--resume", training, "--seeds", 2)
    assert find_network(str(training)).test()["test_mean"] > 0
