"""Every mistake of a user is answered by one line on standard error and exit code 2."""

import subprocess
import sys
import time

import pytest
from PIL import Image

from helpers.commands import NETWRIGHT, netwright
from netwright.errors import DataError, DivergedError, NetwrightError, OverBudgetError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folders of images, each with one thing wrong."""
    root = tmp_path_factory.mktemp("images")

    def image(path, size=(8, 8)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, len(path.stem)).save(path)

    for name in ("empty class", "unreadable", "mixed sizes", "good"):
        for label in ("cats", "dogs"):
            for number in range(6):
                image(root / name / label / f"{'x' * (number + 1)}{label}.png")
    for number in range(6):
        image(root / "one class" / "cats" / f"{'x' * (number + 1)}.png")
    (root / "empty class" / "birds").mkdir()
    (root / "unreadable" / "dogs" / "broken.png").write_text("no picture")
    image(root / "mixed sizes" / "dogs" / "large.png", (9, 8))
    (root / "used").mkdir()
    (root / "used" / "config.toml").touch()
    (root / "not toml.toml").write_text("= 3")
    (root / "unknown key.toml").write_text('name = "x"\n[child]\nepocs = 3\n')
    (root / "tiny.txt").write_text("a text of some forty characters, no longer.")
    (root / "architecture.json").write_text('{"kind": "conv", "layers": []}')
    return root


MISTAKES = {
    "unknown recipe": (["search", "digitz"], ["digitz", "digits"]),
    "recipe file that is not there": (["search", "{}/no.toml"], ["no.toml"]),
    "recipe file that is no TOML": (["search", "{}/not toml.toml"], ["not TOML"]),
    "recipe file with an unknown key": (["search", "{}/unknown key.toml"], ["child.epocs", "epochs"]),
    "unknown key": (["search", "--set", "child.epocs=3"], ["child.epocs", "did you mean epochs"]),
    "unknown key of the space": (["search", "--set", "space.filter=[3]"], ["space.filter", "filters"]),
    "unknown section": (["search", "--set", "children.epochs=3"], ["children"]),
    "a section for a value": (["search", "--set", "child=3"], ["child"]),
    "a key of a value": (["search", "--set", "child.epochs.x=3"], ["epochs"]),
    "no assignment": (["search", "--set", "epochs"], ["section.key=value"]),
    "not a number": (["search", "--set", "child.epochs=many"], ["child.epochs"]),
    "out of range": (["search", "--set", "child.epochs=0"], ["child.epochs"]),
    "nan": (["search", "--set", "child.learning_rate=nan"], ["child.learning_rate", "finite"]),
    "infinity": (["search", "--set", "controller.learning_rate=inf"], ["controller.learning_rate", "finite"]),
    "a floor of nan": (["search", "--set", "reward.floor=nan"], ["reward", "finite"]),
    "a batch of one image": (["search", "--set", "child.batch_size=1"], ["child.batch_size"]),
    "a space without networks": (["search", "--set", "space.depth=0"], ["depth"]),
    "a space with no choice": (["search", "--set", "space.filters=[]"], ["filters"]),
    "a space with an impossible filter": (["search", "--set", "space.filter_heights=[0]"], ["filter_heights"]),
    "a schedule deeper than the space": (
        ["search", "cifar10-small", "--set", "depth.cap=9"],
        ["depth.cap", "at most space.depth"],
    ),
    "unknown strategy": (["search", "--set", "strategy.name=magic"], ["magic", "reinforce"]),
    "unknown setting of a strategy": (["search", "--set", "strategy.options.bach=4"], ["bach", "batch"]),
    "no hours": (["search", "--hours", "-1"], ["search.hours"]),
    "no device": (["search", "--device", "cuda:7"], ["cuda:7", "cpu"]),
    "nonsense for a device": (["search", "--device", "gpu"], ["search.device"]),
    "an encoding that there is not": (
        ["search", "text", "--set", "data.encoding=utf-9"],
        ["data.encoding", "utf-9", "latin-1"],
    ),
    "an encoding that there is not, to check": (["data", "check", "pydoc", "--encoding", "hex"], ["--encoding", "hex"]),
    "an encoding of images": (
        ["data", "check", "images:{}/good", "--encoding", "latin-1"],
        ["--encoding", "text:FILE", "got images"],
    ),
    "an encoding of what Python brings": (
        ["data", "check", "pydoc", "--encoding", "utf-8"],
        ["--encoding", "got pydoc"],
    ),
    "an encoding of the Hub": (
        ["data", "check", "hf:{}/good", "--kind", "text", "--encoding", "latin-1"],
        ["--encoding", "got hf"],
    ),
    "unknown data source": (["search", "--data", "minst"], ["minst"]),
    "no such folder": (["search", "--data", "images:{}/none"], ["none"]),
    "no folder of pictures": (["search", "images"], ["images: expected a folder", "--data images:DIR"]),
    "a run to resume as a training": (["train", "--resume", "{}/used"], ["no training", "netwright search --resume"]),
    "a text of fewer characters than streams": (
        ["train", "lstm", "--recipe", "text", "--data", "text:{}/tiny.txt"],
        ["tiny.txt", "at least 64 tokens", "--set child.batch_size="],
    ),
    "a search of such a text": (["search", "text", "--data", "text:{}/tiny.txt"], ["--set child.batch_size="]),
    "a tied embedding of another width": (
        ["train", "lstm", "--recipe", "text", "--set", "child.tied=true", "--set", "child.embedding=4"],
        ["child.tied", "got embedding = 4", "leave child.embedding out"],
    ),
    "a tied embedding that is not as wide as this cell": (
        ["train", "lstm", "--recipe", "text", "--set", "child.tied=true", "--set", "child.embedding=64"],
        ["child.tied", "got 64", "leave child.embedding out"],
    ),
    "no parameters": (
        ["train", "lstm", "--recipe", "penn-treebank", "--data", "pydoc", "--set", "child.parameters=10"],
        ["expected a budget of at least", "got 10", "--set child.parameters="],
    ),
    "an empty class": (["search", "--data", "images:{}/empty class"], ["birds"]),
    "one class only": (["search", "--data", "images:{}/one class"], ["class"]),
    "an unreadable image": (["search", "--data", "images:{}/unreadable"], ["broken.png"]),
    "mixed sizes": (["search", "--data", "images:{}/mixed sizes"], ["9x8 (1)", "image_size"]),
    "a folder that holds a run": (["search", "--out", "{}/used"], ["already holds a run", "--resume"]),
    "a folder that holds something else": (["search", "--out", "{}/good"], ["not empty"]),
    "no run to resume": (["search", "--resume", "{}/good"], ["no run"]),
    "a seed for a resumption": (["search", "--resume", "{}/used", "--seed", "1"], ["--seed", "fixed"]),
    "no run to list": (["trials", "{}/good"], ["no run"]),
    "no architecture of that name": (["show", "figure9"], ["figure9", "figure7"]),
    "an architecture file with a fault": (["show", "{}/architecture.json"], ["architecture.json", "layers"]),
    "unknown recipe to print": (["recipes", "digitz"], ["digits"]),
}


@pytest.mark.parametrize(("arguments", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_its_fix(folder, tmp_path, monkeypatch, capsys, arguments, said):
    """In this process, since PyTorch takes seconds to load; :func:`main` is all that the command runs.

    Tried: "an encoding of ..." fails when any source may have one.
    """
    from netwright.cli import main as cli

    monkeypatch.setattr(cli.interrupts, "listen", lambda: None)
    monkeypatch.setattr(sys, "argv", ["netwright", *(argument.replace("{}", str(folder)) for argument in arguments)])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert "[Errno" not in err
    for text in said:
        assert text in err
    assert list(tmp_path.iterdir()) == [], "nothing may be left behind"


def test_a_mistake_in_a_process_of_its_own(tmp_path):
    done = netwright("search", "digitz", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["search", "--trials", "0"], ["serch"], ["search", "--bogus"], ["show"]])
def test_wrong_usage_ends_with_2(arguments):
    assert netwright(*arguments).returncode == 2


@pytest.mark.parametrize("how", ["import netwright", "--help"])
def test_nothing_heavy_is_imported_before_it_is_needed(how):
    """Half a second is the promise; what is asserted is its cause, since clocks on a busy machine say little."""
    code = (
        how
        if how.startswith("import")
        else "import sys; sys.argv = ['netwright', '--help']; "
        + ("from netwright.cli.main import main\ntry: main()\nexcept SystemExit: pass")
    )
    report = "\nimport sys; print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    print(f"{how}: {time.perf_counter() - started:.2f} s")
    imported = done.stderr.splitlines()[-1]
    for heavy in ("torch", "numpy", "sklearn", "datasets", "matplotlib", "pandas", "PIL", "optuna", "ray"):
        assert f"'{heavy}'" not in imported, heavy


@pytest.mark.parametrize("command", ["search", "recipes", "trials", "show", "data", "doctor"])
def test_every_command_has_help(command):
    done = subprocess.run([*NETWRIGHT, command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_no_error_that_is_raised_on_purpose_ends_as_a_bug():
    """Tried: `netwright train --set child.max_parameters=10` ended with 1, which the documentation calls a bug."""

    def below(kind):
        return [kind, *(one for child in kind.__subclasses__() for one in below(child))]

    kinds = [kind for child in NetwrightError.__subclasses__() for kind in below(child)]
    assert {OverBudgetError, DivergedError, DataError} <= set(kinds)
    assert [kind.__name__ for kind in kinds if kind.exit_code == 1] == []
