"""Runs of an evaluator from Python, with data from Python or without: read by everything that reads runs."""

import pytest
from typer.testing import CliRunner

import netwright
from netwright.cli.main import app
from netwright.config import FROM_PYTHON
from netwright.errors import UsageError
from netwright.report import comparison_page, report_page, run_summary, run_summary_text


@pytest.fixture(params=["digits", "text"])
def folder(request, write_run):
    """What ``run_search(data=..., evaluator=...)`` leaves: nobody has said what the children read."""
    folder = write_run(request.param, trials=9, failures={1: "boom"})
    data = folder.config.data.model_copy(update={"source": FROM_PYTHON})
    folder.set_config(folder.config.model_copy(update={"data": data, "verdict": None}))
    folder.set_task({})
    return folder


def test_summaries_and_pages(folder):
    """Tried: with the shape of images and the vocabulary taken from the task, a KeyError."""
    with netwright.load_run(folder.path) as run:
        assert "The best five of the search" in run.summary()
        assert "<svg" in run._repr_html_()
        assert len(run.trials()) == 9
    assert run_summary(folder)["best"]["id"] == int(
        run_summary_text(folder).split("The best one, trial ")[1].split(":")[0]
    )
    page = report_page(folder)
    assert "the evaluator&#x27;s own" in page
    assert "validation number" in page
    assert "validation validation" not in page
    assert "validation number" in comparison_page([folder, folder])


def test_commands_that_show(folder):
    for command in (["show"], ["show", "--format", "svg"], ["show", "--format", "json"], ["trials"], ["front"]):
        done = CliRunner().invoke(app, [command[0], str(folder.path), *command[1:]], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert done.stdout.strip()


def test_what_cannot_be_made_of_it_is_said(folder):
    with netwright.load_run(folder.path) as run:
        for action in (run.best.build, run.best.files, lambda: run.best.train(epochs=1), lambda: run.best.predict([])):
            with pytest.raises(UsageError) as caught:
                action()
            assert "KeyError" not in str(caught.value)
