"""Whatever is in a file, the readers understand it or raise one of the documented errors.

A hundred cases each; ``NETWRIGHT_FUZZ=10000 pytest tests/fuzz`` tries so many (five minutes on one core).
"""

import contextlib
import json
import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.searching import create, go_on
from netwright.config import ExperimentConfig
from netwright.errors import ArchitectureError, NetwrightError, StorageError, UsageError
from netwright.recipes import RECIPES
from netwright.report.summary import run_summary
from netwright.settings_file import override, parse_assignments, parse_config
from netwright.spaces.architecture import parse_architecture
from netwright.spaces.published import PUBLISHED, published
from netwright.store.integrity import problems, rebuild
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.store.sqlite import TrialStore

CASES = int(os.environ.get("NETWRIGHT_FUZZ", "100"))
pytestmark = pytest.mark.timeout(120 + CASES // 5)
fuzzed = settings(max_examples=CASES, suppress_health_check=list(HealthCheck), derandomize=CASES < 1000)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
texts = st.text(max_size=60) | st.sampled_from(["nan", "1e999", "9" * 400, "[" * 3000, "'''", "true", "-1", "{}", '""'])
TOMLS = [make().to_toml() for make in RECIPES.values()]
NETWORKS = [published(name).canonical_json() for name in sorted(PUBLISHED)]


@st.composite
def damaged(draw, originals):
    """A text with a few stretches replaced, doubled or taken out."""
    text = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        other = draw(st.sampled_from(originals))
        new = draw(texts | st.just(other[start : start + 40]))
        text = text[:start] + new + text[end:]
    return text


@st.composite
def replaced(draw, originals):
    """JSON with one value somewhere in it replaced by any other."""
    tree = json.loads(draw(st.sampled_from(originals)))
    place = tree
    while True:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            break
        place = place[key]
    place[key] = draw(json_values)
    return json.dumps(tree)


@fuzzed
@given(damaged(NETWORKS) | replaced(NETWORKS) | json_values.map(json.dumps) | st.binary(max_size=200) | texts)
def test_the_reader_of_architectures(content):
    """Tried: without the catching of pydantic's error, the first case fails."""
    with contextlib.suppress(ArchitectureError):
        architecture = parse_architecture(content)
        assert parse_architecture(architecture.canonical_json()) == architecture


@fuzzed
@given(damaged(TOMLS) | texts)
@example("name = 'x'\n[search]\ntrials = 1\n[search.trials]\n")
def test_the_reader_of_configurations(content):
    """What is read can be written and is then read as the same.

    Tried: without the catching of pydantic's error, it fails.
    """
    with contextlib.suppress(UsageError):
        config = parse_config(content, "fuzz.toml")
        assert parse_config(config.to_toml(), "again") == config


SECTIONS = ("data", "child", "search", "reward", "strategy", "space", "controller")
KEYS = ("epochs", "trials", "options", "options.batch", "kind", "filters", "depth", "exponent", "x")
PATHS = [f"{section}.{key}" for section in SECTIONS for key in KEYS]


@fuzzed
@given(
    st.sampled_from(sorted(RECIPES)),
    st.lists(st.tuples(st.sampled_from(PATHS) | texts, texts | json_values.map(json.dumps)), min_size=1, max_size=3),
)
def test_the_reader_of_single_settings(recipe, changes):
    with contextlib.suppress(UsageError):
        changed = override(RECIPES[recipe](), parse_assignments(f"{path}={value}" for path, value in changes))
        assert isinstance(changed, ExperimentConfig)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run of nine trials, one of them failed, stopped by nothing."""
    path = tmp_path_factory.mktemp("small") / "run"
    create(path).store.close()
    go_on(path, trials=9)
    return path


FILES = (
    "trials.db",
    "config.toml",
    "task.json",
    "trials/3/trial.json",
    "trials/8/trial.json",
    "controller/000002.safetensors",
)


@fuzzed
@given(st.data())
def test_the_reader_of_run_folders(small, data):
    """Bytes flipped, cut off, doubled or replaced in one or two files; read, checked, opened for writing, rebuilt.

    Tried: without the catching of damaged rows, a hundred cases do not notice; ``test_integrity.py`` does.
    """
    run = small.with_name("damaged")
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(small, run)
    for _ in range(data.draw(st.integers(1, 2))):
        damage(run / data.draw(st.sampled_from(FILES)), data)
    for read in (read_all, look, go_on_writing, mend):
        with contextlib.suppress(NetwrightError):
            read(run)


def damage(path, data):
    content = path.read_bytes() if path.exists() else b""
    how = data.draw(st.sampled_from(["flip", "cut", "random", "json", "gone", "double"]))
    if how == "gone":
        path.unlink(missing_ok=True)
        return
    if how == "flip" and content:
        changed = bytearray(content)
        for _ in range(data.draw(st.integers(1, 8))):
            changed[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        content = bytes(changed)
    elif how == "cut":
        content = content[: data.draw(st.integers(0, len(content)))]
    elif how == "random":
        content = data.draw(st.binary(max_size=300))
    elif how == "json":
        content = json.dumps(data.draw(json_values)).encode()
    else:
        content += content
    path.write_bytes(content)


def read_all(run):
    folder = RunFolder.open(run)
    with closing(folder.store) as store:
        (history := store.history()).told, history.unfinished, history.evaluations, store.updates()
        list(folder.checkpoints())
        json.dumps(run_summary(folder), allow_nan=False)


def look(run):
    assert all(isinstance(line, str) for line in problems(run))


def go_on_writing(run):
    with run_lock(run, new=False), closing(RunFolder.open(run, read_only=False).store):
        pass


def mend(run):
    with run_lock(run, new=False):
        rebuild(run)
    with closing(TrialStore.open(run / "trials.db")) as store:
        assert len(store.rows()) == 9


TRIAL = {
    "trial": {
        "id": 0,
        "tokens": [0, 1],
        "architecture": "{}",
        "digest": "",
        "notes": {"a": 1.5},
        "state": "complete",
        "reward": 0.5,
        "metrics": {"valid": 0.8},
        "curve": [0.1],
        "failure": None,
        "error": None,
        "started_at": "",
        "finished_at": "",
        "seconds": 1.0,
        "worker": 0,
        "told": 0,
    },
    "update": {"number": 1, "reward": 0.5, "baseline": 0.5, "entropy": 1.0, "gradient_norm": 1.0},
    "sha256": None,
    "session": {"id": 0, "started_at": "", "seconds": 1.0},
}


@fuzzed
@given(replaced([json.dumps(TRIAL)]))
def test_the_reader_of_trials_of_somebody_who_knows_the_digest(tmp_path_factory, content):
    """A forged file: its digest is right, and what it says may be anything; it makes a sound database or none."""
    from netwright.store.trial_file import _digest

    run = forged_folder(tmp_path_factory)
    tree = json.loads(content)
    with contextlib.suppress(ValueError):  # a number that is not finite has no digest
        tree = {"digest": _digest(tree)} | tree
    (run / "trials" / "0" / "trial.json").write_text(json.dumps(tree))
    for path in run.glob("trials.db*"):
        path.unlink()
    try:
        rebuild(run)
    except StorageError:
        return
    with closing(TrialStore.open(run / "trials.db")) as store:
        (history := store.history()).told, history.unfinished, history.evaluations, store.updates()


def forged_folder(tmp_path_factory):
    run = Path(tmp_path_factory.getbasetemp()) / "forged"
    (run / "trials" / "0").mkdir(parents=True, exist_ok=True)
    return run
