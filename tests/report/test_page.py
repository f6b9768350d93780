"""The report: whole for every kind and length of run, small, harmless, and what a browser makes of it."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwright.answer import verdict_in
from netwright.config import TuningSettings
from netwright.errors import StorageError
from netwright.report.page import report_page
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.spaces.published import published
from netwright.store.ranking import best_distinct, searched

HOSTILE = '</pre><script>document.title = "caught"</script><img src=x onerror="alert(1)">& "quoted"'
VOID = {"meta", "link", "img"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Collects the elements of a page; every one must be closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)


SPACE = ChoiceSpace("perceptrons", (Choice("width", (4, 8)), Choice("activation", ("relu", "<tanh>"))))


@pytest.mark.parametrize("recipe", ["digits", "text"])
@pytest.mark.parametrize("trials", [1, 20])
def test_every_section_is_filled(write_run, recipe, trials):
    page = Page(report_page(write_run(recipe, trials=trials)))
    assert page.count("section") == 11
    assert page.count("img") == min(trials, 3)
    assert page.count("figcaption") >= 16
    assert "not finished" not in page.text


def test_a_space_of_ones_own(write_run):
    page = Page(report_page(write_run(trials=20, space=SPACE)))
    assert "activation" in page.text
    assert "<tanh>" in page.text


def test_before_the_first_trial_and_when_none_is_complete(write_run):
    assert "No trial is complete yet" in Page(report_page(write_run())).text
    page = Page(report_page(write_run(trials=2, failures={0: "boom", 1: "boom"}, running=1)))
    assert "error: 2 (66.7% of all trials)" in page.text
    assert "2 failed, 1 not finished" in page.text


def test_error_texts_and_names_are_text(write_run):
    folder = write_run(trials=9, failures={4: HOSTILE}, settings={"data.source": HOSTILE})
    page = Page(report_page(folder))
    assert page.count("script") == 1
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert page.text.count(HOSTILE) >= 2


markup = st.sampled_from(["<b>", "</pre>", "<!--", "<img src=x ", "<script>", "&lt;", "'", '"', ">", "]]>"])
letters = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(text=st.lists(markup | letters, max_size=9).map("".join))
def test_any_error_text_leaves_the_page_as_it_is(write_run, text):
    """Tried: with texts that are not escaped, it fails."""

    def elements(text):
        return [tag for tag, _ in Page(report_page(write_run(trials=3, failures={1: text}))).elements]

    assert elements(text) == elements("boom")


@pytest.mark.slow
@pytest.mark.long
def test_the_page_of_the_papers_search_is_small(write_run):
    html = report_page(write_run("cifar10", trials=12_800))
    assert len(html) < 1_000_000
    Page(html)


def test_nothing_is_fetched(write_run):
    html = report_page(write_run(trials=20))
    assert re.findall(r"https?://|url\(|@import", html) == []
    references = [
        a for _, attributes in Page(html).elements for a in (attributes.get("src"), attributes.get("href")) if a
    ]
    assert all(reference.startswith("data:") for reference in references)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_browser_shows_it_without_an_error(write_run, tmp_path):
    html = report_page(write_run(trials=20, failures={4: HOSTILE}))
    shown = browse(html, tmp_path)
    assert "CONSOLE" not in shown.stderr  # where a refused request or a script would show, too
    assert "<title>digits: an architecture search</title>" in shown.stdout
    assert Page(shown.stdout).count("section") == 11
    assert 'class="sortable sorts"' in shown.stdout  # the script of the page itself has run
    # A reader clicks: by number, from the last to the first; then the other way. The policy forbids other scripts.
    click = '<script>document.querySelector(".sortable th").{}</script></body>'
    html = re.sub("<meta http-equiv.*?>", "", html)
    for action, order in (
        ("click()", range(19, -1, -1)),
        ("click(), document.querySelector('.sortable th').click()", range(20)),
    ):
        clicked = browse(html.replace("</body>", click.format(action)), tmp_path).stdout
        table = clicked.partition("sortable sorts")[2].partition("</table>")[0]
        assert [int(number) for number in re.findall(r"<tr><td>(\d+)</td>", table)] == list(order)


def browse(html, folder):
    """What Chromium makes of a page: the document on standard output, what it complains of on standard error."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}"),
        *("--enable-logging=stderr", "--dump-dom"),
    ]
    return subprocess.run([CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, timeout=100, check=True)


def test_the_number_has_its_own_name(write_run):
    """Tried: with the name taken from the reward, the number of a search on characters is a perplexity."""
    folder = write_run("text", trials=2)
    assert "best validation perplexity" in Page(report_page(folder)).text
    task = folder.task() | {"unit": "character"}
    (folder.path / "task.json").write_text(json.dumps(task))
    page = Page(report_page(folder)).text
    assert "best validation bits per character" in page
    assert "perplexity" not in page.partition("Configuration")[0]


def test_a_measure_that_is_none_is_damage(write_run):
    folder = write_run(trials=1)
    (folder.path / "task.json").write_text(json.dumps(folder.task() | {"measure": {"name": 3}}))
    with pytest.raises(StorageError, match=r"task\.json: measure: expected a measure with name, unit"):
        report_page(folder)


def test_only_the_script_of_the_page_itself_may_run(write_run):
    """Tried: with another digest, Chromium refuses the script, and tables cannot be sorted."""
    html = report_page(write_run(trials=3, failures={1: HOSTILE}))
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r"script-src ([^;\"]*)", html) == [f"'sha256-{digest}'"]


def test_the_answer_comes_first(write_answered_run):
    page = Page(report_page(write_answered_run()))
    head, _, rest = page.text.partition("What was searched, and how")
    assert "Answer: BETTER. The search found a better network than the best one drawn by hand (drawn-" in head
    assert re.search(r"accuracy is 0\.(19|20)\d+ higher, give or take", head)
    assert "found (trial" in head
    assert "which did best when it was trained again" in rest
    assert "· finished ·" in head
    worse = Page(report_page(write_answered_run(found=0.3))).text
    assert "Answer: WORSE." in worse


def test_learning_curves_name_the_best_and_the_references(write_answered_run):
    html = report_page(write_answered_run()).partition("Learning curves")[2].partition("<section>")[0]
    names = re.findall(r'<text class="name[^>]*>([^<]*)</text>', html)
    assert {"drawn-a", "drawn-b"} <= set(names)
    assert sum(name.startswith("trial ") for name in names) == 2 * 3  # wide, and for a telephone


def test_the_first_numbers_are_of_the_network_that_the_answer_is_about(write_answered_run):
    """Tried: with the best of the search by its reward, the page begins with two networks."""
    folder = write_answered_run(trials=16)
    found = verdict_in(folder).found
    assert best_distinct(searched(folder.store.rows()), 1)[0].id != found.entrant.trial, "else nothing is seen here"
    head = Page(report_page(folder)).text.partition("What was searched, and how")[0]
    assert f"{found.valid.mean:.4g}validation accuracy of the found network, trial {found.entrant.trial}" in head


def test_a_telephone_shows_the_answer_without_scrolling(write_answered_run):
    """Each cell has the name of its column, which stands beside it there. Tried: without, all but one are cut."""
    page = report_page(write_answered_run())
    table = page.partition('<table class="stacked">')[2].partition("</table>")[0]
    heads = re.findall("<th>([^<]+)</th>", table)
    rows = [re.findall('data-label="([^"]*)"', row) for row in table.split("<tr>")[2:]]
    assert rows
    assert all(row == heads for row in rows)
    assert ".stacked thead { display: none; }" in page.partition("@media (max-width: 640px)")[2]


def test_all_trials_are_a_table_that_sorts(write_answered_run):
    html = report_page(write_answered_run())
    table = html.partition('<table class="sortable">')[2].partition("</table>")[0]
    assert table.count("<tr>") == 1 + 8 + 2 + 2 + 4
    assert ">drawn-a<" in table
    assert ">for the answer<" in table
    assert 'data-value="0.' in table


def test_the_time_of_all_trials_counts(write_answered_run):
    """Tried: of the search's own trials alone, workers that were never idle were busy half of the time."""
    folder = write_answered_run()
    page = report_page(folder).partition("<th>worker</th>")[2].partition("</table>")[0]
    trials = [int(cells[1]) for row in page.split("<tr>")[1:] if (cells := re.findall(r"<td>([^<]*)</td>", row))]
    assert sum(trials) == len(folder.store.rows()) == 16


def settings_of(folder):
    """What a page says of how children were trained."""
    return re.search(r"<dt>training</dt><dd>(.*?)</dd>", report_page(folder))[1]


def test_a_tuning_names_what_it_tried_and_not_the_settings_in_its_place(write_run):
    """Tried: with the configuration's own settings, the page names a learning rate that no trial need have had."""
    folder = write_run()
    grid = TuningSettings(grid={"learning_rate": (0.05, 0.3), "epochs": (2, 4)})
    task = folder.task()
    folder.set_config(folder.config.model_copy(update={"tuning": grid, "space": None, "verdict": None}))
    folder.set_task({**task, "candidates": {"figure7": published("figure7").model_dump(mode="json")}})
    assert settings_of(folder) == "batches of 16; tried: learning rate 0.05 or 0.3; epochs 2 or 4"


def test_an_evaluator_from_python_is_said_to_have_no_training(write_run):
    folder = write_run(trials=3, space=SPACE)
    assert settings_of(folder) == "none here: an evaluator from Python says what a network is worth"
    page = Page(report_page(folder)).text
    assert "[child]" not in page.partition("Left out: [data] and [child]")[2]
    assert "accuracy" not in page.partition("Configuration")[0]
    assert "best validation number" in page


def test_long_labels_are_whole(write_run):
    """Tried: with eight letters for each, nobody can tell the options of a decision apart."""
    options = ("separable-5x5", "separable-7x7", "x" * 40)
    page = Page(report_page(write_run(trials=12, space=ChoiceSpace("long", (Choice("layer", options),)))))
    assert "separable-5x5" in page.text
    assert "separable-7x7" in page.text
    assert "x" * 40 in page.text


def test_what_is_preferred_at_the_end_is_said(write_run):
    page = report_page(write_run(trials=20, space=ChoiceSpace("one", (Choice("layer", ("only",)),))))
    assert "<b>only (100%)</b>" in page


def test_tiles_wrap_their_numbers(write_run):
    """Tried: a mean reward of "0.462 → 0.898" ran out of its tile."""
    rule = re.search(r"\.tile b \{(.*?)\}", report_page(write_run()))[1]
    assert "nowrap" not in rule
    assert "overflow-wrap: anywhere" in rule


def train(folder, trial, *, confusion, classes):
    """A finished training of a trial, without training."""
    training = folder.path / "trials" / str(trial) / "training"
    training.mkdir(parents=True)
    (training / "task.json").write_text(json.dumps({"image": [1, 8, 8], "classes": classes}))
    seeds = [{"seed": n, "curve": [0.5, 0.8], "test": 0.75, "confusion": confusion} for n in range(2)]
    result = {"seeds": seeds, "test_mean": 0.7523, "test_std": 0.01}
    (training / "result.json").write_text(json.dumps(result))
    return training


def test_a_training_to_the_end_is_there_with_its_classes(write_run):
    folder = write_run(trials=3)
    train(folder, 2, confusion=[[8, 2], [1, 3]], classes=["<cat>", "dog"])
    page = Page(report_page(folder))
    assert "trial 2: accuracy 0.7523 ± 0.007071 (standard error of 2 seeds) on the test part" in page.text
    assert "test accuracy, trial 2 trained to the end" in page.text
    assert "dog475.0%<cat> (25.0%)" in page.text
    assert "16" in page.text.partition("by what they were taken for")[2]  # both seeds together


@pytest.mark.parametrize("damage", ["{", "[]", '{"seeds": [{}], "test_mean": 0.5, "test_std": 0}', '{"seeds": 3}'])
def test_a_damaged_training_is_left_out(write_run, damage):
    folder = write_run(trials=3)
    (train(folder, 0, confusion=None, classes=[]) / "result.json").write_text(damage)
    assert "trained to the end" not in Page(report_page(folder)).text


def test_samples_of_the_data(write_run):
    folder = write_run()
    without = Page(report_page(folder))
    assert "What it learns from" not in without.text
    folder.set_samples([{"label": HOSTILE, "pictures": ["AAAA", HOSTILE]}, {"label": "text", "text": "words <b>"}])
    page = Page(report_page(folder))
    assert page.count("img") == 2
    assert page.count("script") == 1
    assert HOSTILE in page.text
    assert "words <b>" in page.text
    (folder.path / "samples.json").write_text('[3, {"label": 4, "pictures": 5, "text": 6}]')
    assert "What it learns from" in Page(report_page(folder)).text


def test_every_mark_has_a_colour_of_the_page(write_run):
    """In the dark, what has none is black on black. Tried: without a colour for dots, one update alone was."""
    html = report_page(write_run(trials=9))  # one update
    style = html.partition("<style>")[2].partition("</style>")[0]
    circles = set(re.findall(r'<circle class="([\w-]+)"', html))
    assert {"average", "baseline", "trial"} <= circles
    for name in circles:
        rules = re.findall(rf"(?:circle)?\.{name}[^{{}}]*{{([^}}]*)}}", style)
        assert any("fill: var(--" in rule for rule in rules), name
    assert "1 update." in html
