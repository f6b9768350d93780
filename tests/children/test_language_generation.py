"""What a language model writes: prompts, ends of lines, blanks, seeds and temperatures."""

import pytest
import torch

from netwright.children.language_generation import generate, prompt_tokens, text_of
from netwright.children.language_model import build_model
from netwright.config import LanguageModelTraining
from netwright.data.tokens import END, UNKNOWN
from netwright.errors import UsageError
from netwright.networks.finding import find_network
from netwright.networks.network import network_without_run
from netwright.spaces.published import published

WORDS = (UNKNOWN, END, "the", "cat", "sat")


def model_of(bias):
    """A model that expects the next token by its bias alone."""
    settings = LanguageModelTraining(hidden=3, layers=1, precision="float32")
    model = build_model(published("nascell"), len(bias), settings, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.softmax.weight.zero_()
        model.softmax.bias.copy_(torch.tensor(bias))
    return model


def write(bias, prompt="", unit="word", vocabulary=WORDS, **options):
    settings = {"tokens": 6, "temperature": 1.0, "seed": 0} | options
    return generate(model_of(bias), vocabulary, unit, prompt, **settings)


@pytest.mark.parametrize(
    ("prompt", "unit", "tokens"),
    [
        ("", "word", []),
        ("the  cat", "word", ["the", "cat"]),
        (" the\ncat ", "word", ["the", END, "cat"]),
        ("the\n", "word", ["the", END]),
        ("ab \n c ", "character", ["a", "b", END, "c", " "]),
    ],
)
def test_a_prompt_is_read_as_the_beginning_of_a_text(prompt, unit, tokens):
    """Tried: with the end of a line after the last word, as in a whole text, it fails."""
    assert prompt_tokens(prompt, unit) == tokens


def test_tokens_become_lines():
    assert text_of(["the", "cat", END, END, "sat"], "word") == "the cat\n\nsat"
    assert text_of(["a", " ", "b", END], "character") == "a b\n"
    assert text_of([], "word") == ""


def test_the_likeliest_token_is_written_and_never_the_unknown_one():
    """Tried: without the exclusion, the unknown word is written six times."""
    assert write([9.0, 0.0, 0.0, 5.0, 0.0], temperature=0, tokens=3) == "cat cat cat"
    words = write([9.0, 0.0, 0.0, 0.0, 0.0], tokens=200)
    assert UNKNOWN not in words
    assert {"the", "cat", "sat"} == set(words.split())


def test_a_blank_stands_between_words_only():
    cat = [0.0, 0.0, 0.0, 50.0, 0.0]
    assert write(cat, "the", tokens=1) == " cat"
    assert write(cat, "the ", tokens=1) == "cat"
    assert write(cat, "the\n", tokens=1) == "cat"
    assert write(cat, "", tokens=1) == "cat"
    assert write([0.0, 50.0, 0.0, 0.0, 0.0], "the", tokens=2) == "\n\n"
    assert write(cat, "the", tokens=0) == ""
    letters = (UNKNOWN, END, "a")
    assert write([0.0, 0.0, 50.0], "the", "character", letters, tokens=2) == "aa"


def test_the_seed_and_the_temperature_decide():
    even = [0.0, 0.0, 0.0, 1.0, 0.0]
    assert write(even, tokens=30) == write(even, tokens=30)
    assert write(even, tokens=30) != write(even, tokens=30, seed=1)
    cats = [write(even, tokens=300, temperature=t).split().count("cat") for t in (0.2, 1.0, 20.0)]
    assert cats == sorted(cats, reverse=True)
    assert cats[0] > 250 > 110 > cats[2]


def test_what_cannot_write_says_so():
    with pytest.raises(UsageError, match="not trained yet"):
        find_network("nascell").generate("the")
    with pytest.raises(ValueError, match="temperature of 0 or more, got 10 and -1"):
        find_network("nascell").generate("the", tokens=10, temperature=-1)
    network = network_without_run(published("figure7"))
    with pytest.raises(UsageError, match="write no text; netwright predict"):
        network.kind.generate(None, {}, "", tokens=1, temperature=1.0, seed=0)
