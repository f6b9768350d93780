"""What a language model writes: a prompt read, and token after token drawn from what the model expects next.

An exported ``model.py`` has the same in its own words; both write the same text from the same seed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from netwright.children.language_model import LanguageModel
from netwright.data.tokens import END, Unit


@torch.inference_mode()
def generate(
    model: LanguageModel,
    vocabulary: Sequence[str],
    unit: Unit,
    prompt: str,
    *,
    tokens: int,
    temperature: float,
    seed: int,
) -> str:
    """How a text goes on after a prompt.

    The model reads the end of a line first, so that a prompt begins one. ``<unk>`` is never written. Computed on the
    CPU in double precision, so that the text does not depend on the order of additions.

    Args:
        model: Trained.
        vocabulary: The tokens by id.
        unit: What a token is.
        prompt: What the model reads; tokens that it does not know are ``<unk>`` to it.
        tokens: How many to write; ends of lines count.
        temperature: Divides the logits; 0 takes the likeliest token each time.
        seed: Of the draws.

    Returns:
        What comes after the prompt, with the blank before it where one word follows another.
    """
    model = copy.deepcopy(model).cpu().double().eval()
    generator = torch.Generator().manual_seed(seed)
    ids = {token: number for number, token in enumerate(vocabulary)}
    read = torch.tensor([ids.get(token, 0) for token in [END, *prompt_tokens(prompt, unit)]])
    found: list[str] = []
    logits, state = model(read[:, None])
    for _ in range(tokens):
        number = _draw(logits[-1, 0], temperature, generator)
        found.append(vocabulary[int(number)])
        logits, state = model(number[:, None], state)
    return _gap(prompt, found, unit) + text_of(found, unit)


def prompt_tokens(prompt: str, unit: Unit) -> list[str]:
    """The tokens of a text that is to be continued: its last line is not at its end.

    So it has no ``<eos>`` after it, and the blanks at the end of it count where a token is a character.
    """
    *lines, last = prompt.split("\n")
    whole, begun = (str.split, str.split) if unit == "word" else (str.strip, str.lstrip)
    return [*(token for line in lines for token in [*whole(line), END]), *begun(last)]


def text_of(tokens: Sequence[str], unit: Unit) -> str:
    """Tokens as text: a line ends at each ``<eos>``."""
    lines: list[list[str]] = [[]]
    for token in tokens:
        if token == END:
            lines.append([])
        else:
            lines[-1].append(token)
    return "\n".join((" " if unit == "word" else "").join(line) for line in lines)


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One token [1] of logits [V], never that of id 0."""
    scores = logits.clone()
    scores[0] = -math.inf
    if temperature == 0:
        return scores.argmax(0, keepdim=True)
    return torch.multinomial((scores / temperature).softmax(0), 1, generator=generator)


def _gap(prompt: str, found: Sequence[str], unit: Unit) -> str:
    """The blank between the last word of a prompt and the first one that was written."""
    in_a_line = bool(prompt) and not prompt[-1].isspace()
    return " " if unit == "word" and in_a_line and found and found[0] != END else ""
