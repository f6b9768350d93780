"""The lead of a found network when trained to the end, in words and as JSON."""

from __future__ import annotations

from typing import Any

from netwright.networks.lead import Lead
from netwright.report.answer import SEEDS_ALONE, estimate_json, estimate_text, number_text, tested_json
from netwright.report.columns import columns, wrapped
from netwright.search.estimates import Answer, Estimate

SAYS = {
    Answer.BETTER: "That is more than chance explains: the lead lasts.",
    Answer.WORSE: "That is more than chance explains: take the one drawn by hand.",
    Answer.NOT_DISTINGUISHABLE: "Chance can explain that: either will do.",
}


def lead_sentence(lead: Lead) -> str:
    """Who is ahead when both are trained to the end, and whether that is more than chance."""
    apart = f"{number_text(abs(lead.difference.mean))} {'better' if lead.difference.mean >= 0 else 'worse'}"
    apart = f"Trained to the end, the found network is {apart} than {lead.name} on the {_part(lead)} part"
    if lead.seeds < 2:
        return f"{apart}; with one training of each nobody knows whether that is chance."
    return f"{apart}, give or take {number_text(lead.difference.standard_error)}. {SAYS[lead.answer]}"


def lead_text(lead: Lead, width: int | None = None) -> str:
    """The sentence, a line for each of the two, and what the error does not count.

    Args:
        lead: What it says.
        width: Columns of the terminal; None for a pipe.
    """
    rows = [
        ["", f"{lead.measure.name}, {_part(lead)}"],
        ["found", _mean(lead.found, lead.seeds)],
        [f"{lead.name} (by hand)", _mean(lead.drawn, lead.seeds)],
    ]
    unknown = lead.tested and lead.seeds > 1 and lead.difference.of_examples is None
    notes = [wrapped(SEEDS_ALONE, width)] * unknown
    return "\n".join([wrapped(lead_sentence(lead), width), "", *columns(rows, width=width), *notes])


def lead_json(lead: Lead) -> dict[str, Any]:
    """The same as an object that JSON can hold; see ``docs/how-to/answer.md``."""
    return {
        "measure": lead.measure.to_json(),
        "part": _part(lead),
        "seeds": lead.seeds,
        "found": estimate_json(lead.found),
        "reference": {"name": lead.name, **estimate_json(lead.drawn)},
        "difference": tested_json(lead.difference),
        "outcome": lead.answer.value,
    }


def _part(lead: Lead) -> str:
    return "test" if lead.tested else "validation"


def _mean(estimate: Estimate, seeds: int) -> str:
    return estimate_text(estimate) if seeds > 1 else number_text(estimate.mean)
