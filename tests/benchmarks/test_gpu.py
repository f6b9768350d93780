"""``benchmarks/gpu.py`` with the CPU standing in: what it keeps, and that nothing is measured twice."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

FILE = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("benchmark_gpu", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_children_and_cells_print_and_keep_their_figures(gpu, tmp_path, capsys):
    gpu.main(["children", "cells", "--device", "cpu", "--small", "--out", str(tmp_path)])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["piece"], first["done"], second["piece"], second["done"]) == ("children", True, "cells", True)
    assert "no measurement" in first["device"]
    assert min(*first["random 0"].values(), *first["separable"].values()) > 0
    names = ("ours", "ours bfloat16", "our lstm", "our lstm bfloat16", "plain", "nn.LSTM")
    timed = {f"{name}{how}" for name in names for how in ("", ", recorded")}
    assert set(second["hidden 8"]) == {*timed, "largest difference from the CPU"}
    assert second["hidden 8"]["largest difference from the CPU"] == 0
    assert json.loads((tmp_path / "children.json").read_text())["random 0"] == first["random 0"]


def test_what_was_measured_is_not_measured_again_and_no_more_is_begun_after_the_time(gpu, tmp_path):
    options = gpu.Options(tmp_path, 60, torch.device("cpu"), True)
    assert gpu.Figures("piece", options).measure("a", lambda: 1)
    again = gpu.Figures("piece", options)
    assert again.measure("a", lambda: pytest.fail("measured again"))
    late = gpu.Figures("piece", gpu.Options(tmp_path, -1, torch.device("cpu"), True))
    assert late.measure("a", lambda: pytest.fail("measured again"))
    assert not late.measure("b", lambda: pytest.fail("begun after the time"))
    assert late.values == {"a": 1}


def test_a_command_is_begun_then_interrupted_then_resumed(gpu, tmp_path, monkeypatch):
    """A stand-in for netwright that needs two turns, and ends a little after an interrupt."""
    script = tmp_path / "command.py"
    script.write_text(
        "import sys, time, pathlib\n"
        "print(sys.argv[1:], flush=True)\n"
        "if '--resume' in sys.argv: sys.exit(0)\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--out') + 1]); folder.mkdir()\n"
        "(folder / 'config.toml').touch()\n"
        "try: time.sleep(60)\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    monkeypatch.setattr(gpu, "NETWRIGHT", [gpu.sys.executable, "-S", str(script)])
    options = gpu.Options(tmp_path, 2.0, torch.device("cpu"), True)
    assert not gpu.nascell(gpu.Figures("nascell", options), options)
    assert json.loads((tmp_path / "nascell.json").read_text())["interrupted"] == 1
    assert gpu.nascell(gpu.Figures("nascell", options), options)
    lines = (tmp_path / "nascell.log").read_text().splitlines()
    assert "'nascell'" in lines[0]
    assert "'--device', 'cpu'" in lines[0]
    assert lines[1] == str(["train", "--resume", str(tmp_path / "nascell")])


def test_without_a_card_it_says_so(gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main(["cells", "--out", str(tmp_path / "none")])
    assert "no CUDA graphics card here; --device cpu --small" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_needs_are_listed(gpu, capsys):
    gpu.main(["--list-needs"])
    assert capsys.readouterr().out.splitlines() == list(gpu.NEEDS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # within torch.compile
def test_the_plain_loop_compiled_computes_what_the_layer_does(gpu, tmp_path, capsys):
    gpu.main(["compiled", "--device", "cpu", "--small", "--out", str(tmp_path)])
    figures = json.loads(capsys.readouterr().out)["hidden 8"]
    assert figures["largest difference from the CPU"] < 1e-6
    assert min(figures["compiled"], figures["compiled, recorded"], figures["seconds of compiling"]) > 0


@pytest.mark.slow
def test_a_worker_trains_and_is_counted(gpu, tmp_path, capsys):
    gpu.main(["workers", "--device", "cpu", "--small", "--out", str(tmp_path)])
    assert json.loads(capsys.readouterr().out)["1 workers"]["trainings per hour"] > 0
