"""A recipe is a function that returns a whole experiment; its docstring says in a line what for.

``RECIPES`` lists the built-in ones by name, ``find_recipe`` takes a name or the path of a TOML file.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from netwright.config import ExperimentConfig
from netwright.errors import UsageError
from netwright.recipes.cifar10 import cifar10, cifar10_pooling, cifar10_small, cifar10_strides
from netwright.recipes.digits import digits
from netwright.recipes.images import images
from netwright.recipes.text import penn_treebank, penn_treebank_small, ptb_char, text, text_words
from netwright.settings_file import load_config

__all__ = ["RECIPES", "find_recipe"]

Recipe = Callable[[], ExperimentConfig]

RECIPES: dict[str, Recipe] = {
    recipe().name: recipe
    for recipe in (
        digits,
        images,
        text,
        text_words,
        cifar10_small,
        penn_treebank_small,
        cifar10,
        cifar10_strides,
        cifar10_pooling,
        penn_treebank,
        ptb_char,
    )
}


def find_recipe(name: str) -> ExperimentConfig:
    """The experiment that ``name`` stands for: a built-in recipe, or a TOML file.

    Raises:
        UsageError: Neither; names what comes nearest.
    """
    if name in RECIPES:
        return RECIPES[name]()
    if name.endswith(".toml"):
        return load_config(Path(name))
    near = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"unknown recipe {name}; {hint}there are {', '.join(RECIPES)}, or the path of a .toml file")
