"""``netwright generate``: text that a language model writes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from netwright.networks.finding import find_network


def generate(
    what: Annotated[
        str, typer.Argument(metavar="RUN|TRAINING|EXPORT", help="A run, or a folder of netwright train or export.")
    ],
    prompt: Annotated[str, typer.Option(help="How the text begins.")] = "",
    tokens: Annotated[int, typer.Option(min=0, help="Words or characters to write.")] = 100,
    temperature: Annotated[
        float, typer.Option(min=0, max=100, help="0 takes the likeliest each time; more than 1 draws wilder.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the draws; equal seeds write equal texts.")] = 0,
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    training_seed: Annotated[int, typer.Option(help="Which seed of the training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Write text with a trained language model, word by word or character by character, after a prompt."""
    network = find_network(what, trial).trained(training_seed)
    continuation = network.generate(prompt, tokens=tokens, temperature=temperature, seed=seed)
    if as_json:
        told = {"tokens": tokens, "temperature": temperature, "seed": seed}
        typer.echo(json.dumps({"prompt": prompt, "continuation": continuation, **told}))
    else:
        typer.echo(prompt + continuation)
