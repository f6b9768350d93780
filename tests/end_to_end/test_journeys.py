"""Three people take their network home: each in an empty folder, and in a process that knows nothing of the others."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers.commands import ENVIRONMENT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COMMANDS = """
import contextlib, io, shlex, sys
from netwright.cli.main import app


def netwright(line):
    \"\"\"A command as it is typed; what it prints.\"\"\"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = app(shlex.split(line), standalone_mode=False)
    assert not code, (line, code)
    return out.getvalue()

"""


def run(folder, script, *options):
    """A script as a person runs it, by a Python without the folders of this test; what it says as JSON at its end."""
    name = f"script-{len(list(folder.glob('script-*.py')))}.py"
    (folder / name).write_text(script, encoding="utf-8")
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "NETWRIGHT_DATA"}
    environment["NETWRIGHT_CACHE"] = str(folder / "cache")
    command = [sys.executable, *options, name]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


CLASSES = ("circles", "crosses", "dots", "lines", "squares", "waves")


def photograph(folder):
    """Ten pictures of each of six classes, uneven in size, of three formats; one of them lies on its side."""
    random = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            height, width = random.integers(12, 40, 2)
            rows, columns = np.mgrid[:height, :width]
            waves = np.sin(rows * (label + 1) / 4) + np.cos(columns * (6 - label) / 4)
            pixels = 128 + 50 * waves[..., None] + random.normal(0, 10, (height, width, 3))
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            suffix = ("png", "jpg", "webp")[number % 3]
            exif = picture.getexif()
            if number == 1:
                exif[0x0112] = 6  # turned by a quarter
            picture.save(folder / name / f"{number}.{suffix}", exif=exif)


PHOTOS = f"""{COMMANDS}
if __name__ == "__main__":
    print(netwright("data check images:photos"), file=sys.stderr)
    small = "--set child.epochs=1 --set data.image_size=16 --set child.max_multiply_adds=200000 --workers 1"
    alone = "--no-verdict --set verdict.references=[]"
    netwright(f"search images --data images:photos --trials 2 --out run {{small}} {{alone}}")
    netwright("train run --epochs 1")
    netwright("export run --to taken")

    import json
    import netwright as library
    found = library.load_run("run").best.predict("photos")
    answers = json.loads(netwright("predict taken photos --json"))
    with_onnx = False
    try:
        import onnxruntime
    except ImportError:
        pass
    else:
        netwright("export run --to taken --onnx")
        with_onnx = True
    mine = {{one.name: one.probabilities for one in found}}
    theirs = {{one["file"]: dict(one["top"]) for one in answers}}
    print(json.dumps([mine, theirs, with_onnx]))
"""

STRANGER_TO_PHOTOS = """
import json, sys
sys.modules["netwright"] = None  # not to be imported
sys.path.insert(0, "taken")
from pathlib import Path
import torch
from model import CLASSES, load, predict, read

files = sorted(str(path) for path in Path("photos").rglob("*.*"))
by_model = dict(zip(files, predict(files, load())))
by_onnx = None
if Path("taken/model.onnx").exists():
    import onnxruntime
    session = onnxruntime.InferenceSession("taken/model.onnx", providers=["CPUExecutionProvider"])
    logits = [torch.from_numpy(session.run(["logits"], {"images": read(file).numpy()})[0])[0] for file in files]
    by_onnx = {file: dict(zip(CLASSES, row.softmax(0).tolist())) for file, row in zip(files, logits)}
print(json.dumps([by_model, by_onnx]))
"""


def test_own_pictures_from_the_check_to_the_answers(tmp_path):
    """The library, the command, ``model.py`` and ONNX agree on every picture."""
    photograph(tmp_path / "photos")
    (library, command, with_onnx), said = run(tmp_path, PHOTOS)
    assert all(name in said for name in CLASSES)
    assert "next: netwright train run" in said
    assert "next: netwright predict run/trials/" in said
    by_model, by_onnx = run(tmp_path, STRANGER_TO_PHOTOS, "-I")[0]
    assert len(library) == 60
    assert (by_onnx is not None) == with_onnx
    for answers, close in ((command, 1e-6), (by_model, 1e-5), (by_onnx or library, 1e-4)):
        assert set(answers) == set(library)
        for file, chances in library.items():
            assert set(chances) == set(CLASSES)
            assert answers[file] == pytest.approx(chances, abs=close), file


TEXT = f"""{COMMANDS}
if __name__ == "__main__":
    import json
    import netwright as library

    small = "--set child.epochs=1 --set child.hidden=12 --set data.unit=character --set search.workers=1"
    netwright("search text --data text:diary.txt --trials 2 --out run " + small)
    netwright("train run --epochs 2")
    netwright("export run --to taken")
    asked = "--prompt 'the cat ' --tokens 40 --seed 3"
    by_run = netwright("generate run " + asked)
    by_export = json.loads(netwright("generate taken --json " + asked))["continuation"]
    by_library = library.load_run("run").best.generate("the cat ", tokens=40, seed=3)
    print(json.dumps([by_run, by_export, by_library]))
"""

STRANGER_TO_TEXT = """
import json, sys
sys.modules["netwright"] = None  # not to be imported
sys.path.insert(0, "taken")
import torch
from torch import nn
from model import Layer, generate, load


class Mine(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent(2, 16, num_layers=2, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        outputs, (h, c) = self.recurrent(x)
        assert torch.equal(outputs[:, -1], h[-1])
        return self.head(h[-1])[:, 0]


def learn(recurrent):
    "The mean of squares of the error of a sum of six numbers, before and after some training."
    torch.manual_seed(0)
    network, errors = Mine(recurrent), []
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(120):
        x = torch.rand(64, 6, 2)
        error = ((network(x) - x[:, :, 0].sum(1) / 6) ** 2).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    return errors[0], sum(errors[-10:]) / 10


print(json.dumps([generate(load(), "the cat ", 40, seed=3), learn(Layer), learn(nn.LSTM)]))
"""


def test_own_text_to_writing_and_to_a_cell_in_a_network_of_ones_own(tmp_path):
    """The commands, the library and ``model.py`` write the same; the cell learns beside ``nn.LSTM``."""
    lines = ["the cat sat on the mat", "a dog lay by the log", "the cat and a dog sat by the mat"]
    (tmp_path / "diary.txt").write_text("\n".join(lines * 40), encoding="utf-8")
    (by_run, by_export, by_library), said = run(tmp_path, TEXT)
    assert "next: netwright generate run/trials/" in said
    by_model, cell, lstm = run(tmp_path, STRANGER_TO_TEXT, "-I")[0]
    assert by_run == f"the cat {by_library}\n"
    assert by_export == by_model == by_library
    assert len(by_library) == 40
    for before, after in (cell, lstm):
        assert after < before / 3


ARRAYS = """
import json
from sklearn.datasets import load_digits
import netwright

if __name__ == "__main__":  # worker processes import this file
    digits = load_digits()
    images, labels = digits.images / 16, digits.target
    test = images[400:600], labels[400:600]
    data = netwright.from_tensors(images[:400], labels[:400], validation=0.3, test=test)
    settings = {"child.epochs": 1, "search.workers": 1}
    run = netwright.run_search("digits", "runs/mine", data=data, trials=2, settings=settings, verdict=False)
    grid = {"tuning.grid": {"learning_rate": [0.05, 0.1]}, "search.workers": 1}
    tuned = netwright.tune(run, "runs/tuned", data=data, settings=grid, trials=1)
    network = tuned.best.train(data=data, epochs=3)
    network.export("taken")
    again = netwright.load_run("runs/tuned").best
    right = [found.label == str(label) for found, label in zip(again.predict(test[0]), test[1])]
    print(json.dumps([network.test()["test_mean"], sum(right) / len(right), len(tuned.trials())]))
"""

STRANGER_TO_ARRAYS = """
import json, sys
sys.modules["netwright"] = None  # not to be imported
sys.path.insert(0, "taken")
import torch
from model import CLASSES, load, prepare
from sklearn.datasets import load_digits

digits = load_digits()
images = (torch.from_numpy(digits.images[400:600] / 16) * 255).round().to(torch.uint8)[:, None]
with torch.inference_mode():
    found = load()(prepare(images)).argmax(1)
print(json.dumps([sum(CLASSES[k] == str(label) for k, label in zip(found.tolist(), digits.target[400:600])) / 200]))
"""


@pytest.mark.long
def test_arrays_in_python_to_a_trained_tested_and_exported_network(tmp_path):
    """Without the command line; tested there, predicted and in a stranger's hands it is right as often."""
    (tested, predicted, tuned), _ = run(tmp_path, ARRAYS)
    assert tuned == 1
    assert tested == predicted > 0.2
    assert run(tmp_path, STRANGER_TO_ARRAYS, "-I")[0] == [tested]
