"""Files from strangers: nothing in them is ever run."""

import ast
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest

import netwright
from helpers.searching import SPACE, create, go_on, result
from netwright.children.cell_program import cell_program
from netwright.children.triton_cell import source
from netwright.errors import NetwrightError, UsageError
from netwright.networks.tensor_file import load_tensors
from netwright.settings_file import parse_config
from netwright.spaces.published import published
from netwright.store.run_folder import RunFolder
from netwright.testing.searches import StopAfter, Stopped

SOURCES = sorted(Path(netwright.__file__).parent.rglob("*.py"))


class Bomb:
    """Makes a file when unpickled."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return os.mkdir, (self.canary,)


def bombs(folder, canary):
    """Checkpoints that are none: by name, their bytes."""
    plain = pickle.dumps(Bomb(canary))
    archive = folder / "bomb.pt"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:  # as torch.save writes them
        file.writestr("archive/data.pkl", plain)
        file.writestr("archive/version", "3")
    zeros = folder / "zeros.zip"
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", b"\0" * 50_000_000)
    header = b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    huge_header = (2**62).to_bytes(8, "little") + b"{}"
    return {
        "pickle": plain,
        "pt": archive.read_bytes(),
        "zip bomb": zeros.read_bytes(),
        "huge header": huge_header,
        "huge tensor": len(header).to_bytes(8, "little") + header,
    }


KINDS = ["pickle", "pt", "zip bomb", "huge header", "huge tensor"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_with_a_bomb_in_it_does_not_go_off(tmp_path, golden, kind):
    """In the place of a run's checkpoints, of weights, and given to ``--controller-from``.

    Tried: with ``torch.load(weights_only=False)`` in the place of safetensors, the canary is there.
    """
    from netwright.strategies.by_name import take_over_controller
    from netwright.strategies.reinforce import Reinforce

    canary = tmp_path / "canary"
    content = bombs(tmp_path, canary)[kind]
    run = tmp_path / "run"
    create(run).store.close()
    with pytest.raises(Stopped):
        go_on(run, observer=StopAfter(17))
    for checkpoint in (run / "controller").iterdir():
        checkpoint.write_bytes(content)
    go_on(run)
    assert result(run) == result(golden), "they are passed over"
    with pytest.raises(NetwrightError, match="damaged"):
        load_tensors(content, "weights")
    (tmp_path / "given").write_bytes(content)
    with pytest.raises(UsageError, match="not the checkpoint"):
        take_over_controller(Reinforce(SPACE), tmp_path / "given")
    assert not canary.exists()


def test_the_bomb_is_a_bomb(tmp_path):
    pickle.loads(bombs(tmp_path, tmp_path / "canary")["pickle"])
    assert (tmp_path / "canary").is_dir()


FORBIDDEN = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_OF = {
    "pickle": {"load", "loads"},
    "torch": {"load"},
    "yaml": {"load"},
    "marshal": {"loads"},
    "os": {"system"},
}
FROM_THE_PARENT = {("parcel.py", "loads"), ("inbox.py", "loads")}
"""What a worker unpickles is no file: its parent, which started it, has just written it into a pipe. Nor is what the
parent unpickles: the worker, which runs with its rights, has written it there, as multiprocessing's own pipes do it."""


WRITTEN_HERE = {("triton_cell.py", "exec"), ("triton_cell.py", "compile")}
"""The kernels of a cell are source that netwright writes, of its own tables and of numbers."""


@pytest.mark.parametrize("change", [{"nodes": (("add", "tanh(x)); boom("),) * 15}, {"nodes": (("x + y", "tanh"),) * 15},
                                    {"inject": ("add", "boom()")}, {"c_index": "13; boom()"}])  # fmt: skip
def test_no_text_of_a_cell_comes_into_its_kernels(change):
    """Not even of one that nobody has validated. Tried: where an unknown operation is written as it stands, two do."""
    with pytest.raises((KeyError, ValueError)):
        source(cell_program(published("lstm").model_copy(update=change), frozenset()))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(Path(netwright.__file__).parent)))
def test_no_source_runs_what_it_reads(path):
    """No eval, no pickle, no torch.load of a file; the one unpickler, of CIFAR-10's own files, has a test beside it.

    Tried: with an ``eval`` anywhere, it fails.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) if (path.name, name) not in WRITTEN_HERE:
                    assert name not in FORBIDDEN, f"{path.name}:{node.lineno}: {name}()"
                case ast.Attribute(value=ast.Name(id=module), attr=name) if (path.name, name) not in FROM_THE_PARENT:
                    assert name not in FORBIDDEN_OF.get(module, ()), f"{path.name}:{node.lineno}: {module}.{name}()"


TRAVERSALS = [
    "..", "../x", "../../etc/passwd", "/etc/passwd",
    "a/b", "a\\\\b", "%2e%2e%2fx", "x\\u0000y", "x#y", "x?y", "", ".", "-x",
    "a" * 65, "x\\ny", "\\u202egnp.exe", '\\"\\"\\"; import os', "<img onerror=alert(1)>",
]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_name_that_leads_elsewhere_is_refused(name):
    """The run folder is called after it (``runs/NAME-TIME``). Tried: without the pattern, all but two are read."""
    with pytest.raises(UsageError, match="name"):
        parse_config(f'name = "{name}"', "strange.toml")


@pytest.mark.parametrize("trial", ["..", "../../x", "/etc", "0/../1", "%2e", "-1", "1e0", "０", " 0"])
def test_a_trial_is_found_by_its_number_only(golden, trial):
    from netwright.networks.finding import find_trial

    with pytest.raises(UsageError, match="has no trial"):
        find_trial(RunFolder.open(golden), trial)


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "run"
    create(path).store.close()
    go_on(path)
    yield path
    shutil.rmtree(path)
