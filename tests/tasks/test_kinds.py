"""Only ``tasks`` asks whether something is images or text; both kinds are whole."""

import ast
from pathlib import Path

import pytest

import netwright
from netwright.config import OwnDataSettings, OwnTraining
from netwright.errors import UsageError
from netwright.measure import ACCURACY, BITS_PER_CHARACTER, PERPLEXITY
from netwright.recipes import RECIPES, find_recipe
from netwright.tasks import IMAGES, KINDS, TEXT, kind_of, kind_of_architecture, kind_of_source

SOURCE = Path(netwright.__file__).parent
MAY_ASK = {"tasks", "children", "spaces", "data", "export"}
"""Packages of one kind's own things; ``export`` writes each kind's files, and ``config`` has the unions."""

OF_A_KIND = {
    *("ImageData", "TextData", "ImageDataSettings", "TextDataSettings", "ImageTraining", "LanguageModelTraining"),
    *("ImageEvaluator", "LanguageModelEvaluator", "ConvArchitecture", "RecurrentCellArchitecture", "ConvSpace"),
    *("RecurrentCellSpace", "AccuracyReward", "PerplexityReward"),
}
TEXTS_OF_A_KIND = {"images", "text", "image_classifier", "language_model", "conv", "recurrent_cell", "vocabulary"}


def questions(tree):
    """Places that tell kinds apart: by ``isinstance``, by a ``match`` on a class, by comparing with a kind's name."""
    for node in ast.walk(tree):
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            if names & OF_A_KIND:
                yield node.lineno
        elif isinstance(node, ast.MatchClass):
            if isinstance(node.cls, ast.Name) and node.cls.id in OF_A_KIND:
                yield node.cls.lineno
        elif isinstance(node, ast.Compare):
            texts = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            if texts & TEXTS_OF_A_KIND:
                yield node.lineno


def test_nobody_else_asks_which_kind():
    """Tried: an ``isinstance(data, ImageData)`` in experiment.py is found."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE)
        if place.parts[0] not in MAY_ASK and place.name != "config.py":
            found += [f"{place}:{line}" for line in questions(ast.parse(path.read_text(encoding="utf-8")))]
    # The reward's own formula, and a benchmark that is a convolutional toy.
    assert [place for place in found if not place.startswith(("search/reward.py", "benchmarks/toy.py"))] == []


def test_the_search_of_this_test_finds_what_it_looks_for():
    tree = ast.parse(
        "isinstance(x, ImageData)\nmatch x:\n    case TextData():\n        pass\nx == 'images'\n'vocabulary' in x"
    )
    assert len(list(questions(tree))) == 4


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_a_kind_whose_training_it_uses(recipe):
    config = find_recipe(recipe)
    kind = kind_of(config)
    assert type(config.child) is type(kind.training)
    assert kind.recipe in RECIPES
    assert kind.grid
    assert all(name in type(kind.training).model_fields for name in kind.grid)


def test_numbers_have_the_measure_of_their_kind():
    assert IMAGES.measure({}) == ACCURACY
    assert TEXT.measure({"unit": "word"}) == PERPLEXITY
    assert TEXT.measure({"unit": "character"}) == BITS_PER_CHARACTER


def test_sources_and_architectures_find_their_kind():
    assert kind_of_source("pydoc") is TEXT
    assert kind_of_source("text:notes.txt") is TEXT
    assert kind_of_source("images:photos") is IMAGES
    assert kind_of_source("hf:anything") is IMAGES
    assert kind_of_architecture("conv") is IMAGES
    assert kind_of_architecture("recurrent_cell") is TEXT
    assert kind_of_architecture("choice") is None
    assert set(KINDS) == {"images", "text"}


def test_a_kind_of_ones_own_has_to_be_handed_over():
    config = find_recipe("digits").model_copy(
        update={"data": OwnDataSettings(name="signals"), "child": OwnTraining(), "verdict": None}
    )
    with pytest.raises(UsageError, match=r"'signals', which is from Python, and none was given; .* task="):
        kind_of(config)
