"""Several runs on one page."""

import re
import shutil

import pytest

from netwright.answer import verdict_in
from netwright.cli.report import report
from netwright.measure import ACCURACY, PERPLEXITY
from netwright.report.comparison import Compared, comparison_page
from netwright.store.run_folder import RunFolder


def test_answers_and_figures_stand_side_by_side(write_run, write_answered_run):
    one, two = write_answered_run(), write_run(trials=12, failures={3: "boom"})
    html = comparison_page([one, two])
    assert "<title>2 runs compared</title>" in html
    assert "Answer: BETTER." in html
    assert "No answer: the run has none yet" in html
    row = html.partition(f"<td>{two.path.name}</td>")[2].partition("</tr>")[0]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)
    assert cells[0] == ""  # no answer
    assert cells[3:5] == ["11", "1"]
    assert cells[-1] == "0"  # the seed; what all have stands above, so that the table is as wide as the page
    assert "<p>All have recipe digits; strategy reinforce-replay.</p>" in html
    assert "trained to the end" not in html  # since none is
    names = re.findall(r'<text class="name run-\d"[^>]*>([^<]*)</text>', html)
    assert sorted(names) == sorted(
        4 * [one.path.name, two.path.name]
    )  # by trials, and by time; for both, wide and narrow


def test_runs_that_differ_in_the_seed_alone_are_joined(write_answered_run):
    """Their found networks have 0.9 and 0.8, and some thousandths more; that of other settings stands alone."""
    one, two = {"search.seed": 0, "search.workers": 1}, {"search.seed": 1, "search.workers": 2}
    runs = [write_answered_run(settings=one), write_answered_run(found=0.8, settings=two)]
    other = write_answered_run(settings=one | {"child.epochs": 9})
    html = comparison_page(runs)
    line = html.partition("<h2>Over seeds</h2>")[2].partition("<tbody>")[2].partition("</tr>")[0]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", line)
    found = [verdict_in(folder).found.valid.mean for folder in runs]
    assert cells[:4] == ["digits", "reinforce-replay", "0, 1", "validation accuracy"]
    assert cells[4] == f"{sum(found) / 2:.4f} ± {abs(found[0] - found[1]) / 2:.4f}"
    assert cells[7] == "2/2"
    assert "Over seeds" not in comparison_page([runs[1], other])


def test_runs_that_are_measured_differently_have_charts_of_their_own(write_run):
    html = comparison_page([write_run(trials=3), write_run("text", trials=3)])
    assert "Best accuracy so far" in html
    assert "Best perplexity so far" in html


def test_runs_of_one_name_are_told_apart_by_their_paths(write_run, tmp_path):
    folder = write_run(trials=2)
    shutil.copytree(folder.path, tmp_path / "copies" / folder.path.name)
    html = comparison_page([folder, RunFolder.open(tmp_path / "copies" / folder.path.name)])
    assert f"<td>{folder.path}</td>" in html


def test_the_best_so_far_goes_the_way_of_the_measure(write_run):
    folder = write_run("text", trials=8)
    rows = folder.store.rows()
    lowest = Compared(name="", folder=folder, rows=rows, best=None, measure=PERPLEXITY, verdict=None)
    values = [row.valid for row in rows]
    course = lowest.best_so_far(range(8))
    assert course[0] == (0, values[0])
    assert course[-1][1] == min(values)
    assert [y for _, y in course] == sorted((y for _, y in course), reverse=True)
    highest = Compared(name="", folder=folder, rows=rows, best=None, measure=ACCURACY, verdict=None)
    assert highest.best_so_far(range(8))[-1][1] == max(values)


def test_processor_seconds_count_threads(write_run):
    folder = write_run(trials=3, settings={"search.threads": 2})
    rows = folder.store.rows()
    run = Compared(name="", folder=folder, rows=rows, best=None, measure=ACCURACY, verdict=None)
    assert run.processor_seconds[-1] == pytest.approx(2 * sum(row.seconds for row in rows))


def test_the_command_writes_one_page_of_several_runs(write_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [write_run(trials=2).path, write_run().path]
    report([*runs, runs[0]])
    assert "2 runs compared" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    report(runs[:1])
    assert "an architecture search" in (runs[0] / "report.html").read_text(encoding="utf-8")
