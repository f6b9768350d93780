"""Every number that is printed is called what it measures: perplexity of words, bits per character."""

import json
import math
from collections import Counter
from pydoc_data.topics import topics as TOPICS

import pytest

from netwright.cli.main import app
from netwright.data.text import load_text
from netwright.networks.tuning import default_grid
from netwright.recipes import find_recipe
from netwright.report.summary import run_summary, run_summary_text, tuning_table
from netwright.spaces.published import published
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks.text import TEXT
from netwright.trial import State

TASKS = {
    "perplexity": {"unit": "word", "vocabulary": ["<unk>", "a"]},
    "bits per character": {"unit": "character", "vocabulary": ["<unk>", "a"]},
}
TUNED = '{"kind":"choice","space":"tuning","choices":[["architecture","3"],["dropout","0.1"]]}'


def run(tmp_path, task, architecture) -> RunFolder:
    """A run of one trial."""
    folder = RunFolder.create(tmp_path / "run", find_recipe("text").model_copy(update={"verdict": None}), task)
    folder.store.insert(
        [
            TrialRow(
                id=0, tokens=(0,), architecture=architecture, digest="", notes={}, state=State.COMPLETE, reward=0.1,
                valid=2.5, metrics={}, curve=(2.5,), failure=None, error=None,
                started_at="2026-01-01T00:00:00Z", finished_at="2026-01-01T00:00:01Z",
                seconds=1.0, worker=0, told=0,
            )
        ]
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("name", TASKS)
def test_tables_and_summaries_name_it(tmp_path, capsys, name):
    cell = next(iter(map(find_recipe("text").space.decode, [tuple(0 for _ in find_recipe("text").space.plan())])))
    folder = run(tmp_path, TASKS[name], cell.canonical_json())
    app(["trials", str(folder.path)], standalone_mode=False)
    assert f"  {name}  " in capsys.readouterr().out
    app(["trials", str(folder.path), "--json"], standalone_mode=False)
    assert [row["measure"] for row in json.loads(capsys.readouterr().out)] == [name]
    assert f"  {name}  " in run_summary_text(folder)
    assert run_summary(folder)["measure"]["name"] == name


def test_a_tuning_names_it(tmp_path):
    assert "  bits per character  " in tuning_table(run(tmp_path, TASKS["bits per character"], TUNED))


@pytest.mark.slow
@pytest.mark.long
def test_characters_are_learned_by_the_recipe_beyond_their_frequencies(tmp_path, capsys):
    """The recipe's rate and windows suit characters: a short training is below the entropy of single characters.

    ``nascell`` starts slower than the LSTM.
    """
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TOPICS.values())[:30_000])
    source = f"text:{text}"
    arguments = ["train", "nascell", "--recipe", "text", "--data", source, "--set", "data.unit=character", "--json"]
    arguments += ["--epochs", "2", "--set", "child.hidden=50", "--out", str(tmp_path / "out")]
    app(arguments, standalone_mode=False)
    out, err = capsys.readouterr()
    assert err.count("validation bits per character ") == 2
    result = json.loads(out)
    assert result["measure"] == {"name": "bits per character", "unit": "bits", "lower_is_better": True}
    counts = Counter(load_text(source, unit="character").validation.tolist())
    total = sum(counts.values())
    entropy = -sum(count / total * math.log2(count / total) for count in counts.values())
    assert min(result["seeds"][0]["curve"]) < entropy


def test_the_trials_of_a_tuning_are_what_it_tried(tmp_path, capsys):
    """Tried: as those of a search, they have the parameters of one network, and not what tells them apart."""
    folder = run(tmp_path, TASKS["bits per character"], TUNED)
    candidate = published("lstm").model_dump(mode="json")
    folder.set_task(TASKS["bits per character"] | {"candidates": {"lstm": candidate}})
    tuning = folder.config.model_copy(
        update={"space": None, "depth": None, "tuning": default_grid(TEXT, folder.config.child)}
    )
    folder.set_config(tuning)
    app(["trials", str(folder.path)], standalone_mode=False)
    out = capsys.readouterr().out
    assert out == tuning_table(folder) + "\n"
    assert f"netwright train {folder.path}" in out
    assert out.split()[:3] == ["trial", "architecture", "dropout"]
    kind = json.dumps({"kind": "choice", "space": "other", "choices": [["size", 3]]})
    with folder.store._connection as connection:  # a folder from elsewhere
        connection.execute("UPDATE trials SET architecture = ?", (kind,))
    app(["trials", str(folder.path)], standalone_mode=False)
    assert "size" in capsys.readouterr().out
