"""The report: whole for every kind and length of run, small, harmless, and what a browser makes of it."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwright.errors import StorageError
from netwright.report.page import report_page
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice

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
    assert page.count("section") == 9
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
    assert page.count("script") == 0
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
    page = tmp_path / "report.html"
    page.write_text(report_page(write_run(trials=20, failures={4: HOSTILE})), encoding="utf-8")
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"),
        *("--enable-logging=stderr", "--dump-dom"),
    ]
    shown = subprocess.run([CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, timeout=100, check=True)
    assert "CONSOLE" not in shown.stderr  # where a refused request or a script would show, too
    assert "<title>digits: an architecture search</title>" in shown.stdout
    assert Page(shown.stdout).count("section") == 9


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
