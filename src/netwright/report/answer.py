"""The answer of a search in words, and as JSON: found network against networks drawn by hand."""

from __future__ import annotations

import math
from typing import Any

from netwright.config import COSTS
from netwright.measure import Measure
from netwright.report.columns import columns, wrapped
from netwright.search.estimates import Answer, Estimate
from netwright.search.verdict import Comparison, Nearest, Standing, Verdict
from netwright.spaces.difference import Change

SHOWN = {"parameters": "parameters", "multiply_adds": "multiply-adds", "latency_ms": "latency, ms"}
"""Costs that the table shows, where they are known."""

COMPARED = {"multiply_adds": "multiply-adds", "latency_ms": "latency"}
"""Costs that the answer names where the two networks differ in them by more than :data:`ABOUT_EQUAL`."""

ABOUT_EQUAL = 0.05
"""A share."""

NAMED_CHANGES = 5
"""So many decisions are named in a sentence; all of them stand in the JSON."""

SEEDS_ALONE = "Give or take, on the test part, counts the seeds alone: what other examples would change is not known."
"""Of a test part without blocks, such as a text that is too short for two."""

ENOUGH = 4
"""Trainings from which on a standard error is taken as it is."""


def answer_text(verdict: Verdict, measure: Measure, width: int | None = None) -> str:
    """The sentence first, then a line for each network; for somebody who knows nothing of statistics.

    Args:
        verdict: What it says.
        measure: Of its numbers.
        width: Columns of the terminal; None for a pipe.
    """
    sentences = [wrapped(sentence, width) for sentence in answer_sentences(verdict, measure)]
    lines = columns(answer_rows(verdict, measure), width=width)
    return "\n".join([*sentences, "", *lines, wrapped(answer_note(verdict), width)])


def answer_sentences(verdict: Verdict, measure: Measure) -> list[str]:
    """What the verdict says; the first line is the answer."""
    best = verdict.references[0].entrant.name
    what = _apart(verdict.against_best, measure)
    match verdict.answer:
        case Answer.BETTER:
            lines = [f"Answer: BETTER. The search found a better network than the best one drawn by hand ({best})."]
            lines += [f"Its {what}. That is more than chance explains."]
        case Answer.WORSE:
            lines = [f"Answer: WORSE. The best network drawn by hand ({best}) is better than what the search found."]
            lines += [f"The found one's {what}. Use {best}, or search for longer."]
        case Answer.NOT_DISTINGUISHABLE:
            lines = [f"Answer: NO CLEAR DIFFERENCE between the found network and the best one drawn by hand ({best})."]
            why = "but only where it did not fail" if verdict.against_best.held_back else "which chance can explain"
            advice = "" if verdict.found.failed else " Either will do."
            lines += [f"The found one's {what}, {why}.{advice}"]
    lines += _failure_sentences(verdict)
    if verdict.test_difference is not None:
        led = verdict.difference
        side = "better" if led.mean >= 0 else "worse"
        lines.append(
            f"On the validation part, by which the search chose, the found one is {number_text(abs(led.mean))} {side}, "
            f"give or take {number_text(led.standard_error)}."
        )
    return lines + _cost_sentences(verdict) + _origin_sentences(verdict, measure)


def _failure_sentences(verdict: Verdict) -> list[str]:
    """Whose training failed from some of the last seeds; a person who trains it again may meet that, too."""
    return [
        f"{'The found one' if standing.entrant.name is None else standing.entrant.name} failed in {standing.failed} of "
        f"{standing.failed + standing.seeds} trainings; its numbers are those of the others."
        for standing in (verdict.found, *verdict.references)
        if standing.failed
    ]


def _origin_sentences(verdict: Verdict, measure: Measure) -> list[str]:
    """How far the found network is from what a search begins from, and whether it is better than the best of it."""
    lines = []
    if (nearest := verdict.nearest) is not None:
        named = [_change_words(change) for change in nearest.changes[:NAMED_CHANGES]]
        if (more := len(nearest.changes) - NAMED_CHANGES) > 0:
            named.append(f"and {more} more")
        which = f" ({'; '.join(named)})" if named else ""
        lines.append(
            f"The one drawn by hand that it is most like is {nearest.name}: {len(nearest.changes)} of "
            f"{nearest.decisions} decisions differ{which}."
        )
    if (against := verdict.in_space) is not None and against.reference != verdict.references[0]:
        level = "better where it did not fail" if against.held_back else "not clearly different"
        says = {Answer.BETTER: "better", Answer.WORSE: "worse", Answer.NOT_DISTINGUISHABLE: level}[against.answer]
        lines.append(
            f"Against {against.reference.entrant.name}, the best drawn one that the space can write, it is {says}: "
            f"{_apart(against, measure)}."
        )
    return lines


def _change_words(change: Change) -> str:
    return f"{change.decision}: {_meaning(change.after)} instead of {_meaning(change.before)}"


def _meaning(value: object) -> str:
    """What a decision came to; the inputs of a layer without any are the image, as in drawings."""
    return ", ".join(map(str, value)) or "image" if isinstance(value, tuple) else str(value)


def _cost_sentences(verdict: Verdict) -> list[str]:
    """What the found network costs beside the best reference, where that is another amount."""
    ours, theirs = verdict.found.costs, verdict.references[0].costs
    shares = {word: ours[name] / theirs[name] for name, word in COMPARED.items() if ours.get(name) and theirs.get(name)}
    apart = [f"{share:.0%} of its {word}" for word, share in shares.items() if abs(share - 1) > ABOUT_EQUAL]
    return [f"The found one takes {' and '.join(apart)}."] if apart else []


def _apart(against: Comparison, measure: Measure) -> str:
    """How far, and to which side, the found network's number is from that of a reference."""
    difference = against.deciding
    side = "lower" if (difference.mean >= 0) == measure.lower_is_better else "higher"
    error = number_text(difference.standard_error)
    plural = measure.unit and measure.name.startswith(measure.unit)  # bits per character
    verb = "are" if plural else "is"
    where = "" if against.test_difference is None else " on the test part, by which nothing was chosen,"
    return f"{measure.name}{where} {verb} {number_text(abs(difference.mean))} {side}, give or take {error}"


def answer_note(verdict: Verdict) -> str:
    """What the numbers are means of, and of how few."""
    seeds = verdict.found.seeds
    each = {standing.seeds for standing in (verdict.found, *verdict.references)}
    counts = f"{seeds}" if each == {seeds} else f"{min(each)} to {max(each)}"
    note = f"Means of {counts} new trainings each, ± one standard error. None of them chose the network."
    if verdict.test_difference is not None and verdict.test_difference.of_examples is None:
        note += f" {SEEDS_ALONE}"
    if verdict.deciding.of_examples is not None:
        note += " Give or take, on the test part, also counts what other examples would change."
    if seeds >= ENOUGH:
        return note
    if seeds == 1:
        return f"{note} Of one that did not fail, the error is unknown; see netwright verdict --seeds."
    uncertain = 1 / math.sqrt(2 * (seeds - 1))  # error of a deviation of so many numbers, as a share of it
    return f"{note} Of so few, the error itself is known within {uncertain:.0%} only; see netwright verdict --seeds."


def answer_rows(verdict: Verdict, measure: Measure) -> list[list[str]]:
    """A table of the found network and the references, as cells; the first row has the names of the columns."""
    with_test = any(standing.test is not None for standing in (verdict.found, *verdict.references))
    costs = [name for name in SHOWN if name in verdict.found.costs]
    rows = [["", f"{measure.name}, validation", *[f"{measure.name}, test"] * with_test]]
    rows[0] += [SHOWN[name] for name in costs]
    for standing in (verdict.found, *verdict.references):
        cells = [_name(standing), estimate_text(standing.valid)]
        cells += [estimate_text(standing.test)] * with_test
        cells += [_cost(standing.costs[name]) if name in standing.costs else "" for name in costs]
        rows.append(cells)
    return rows


def _cost(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _name(standing: Standing) -> str:
    entrant = standing.entrant
    return f"found (trial {entrant.trial})" if entrant.name is None else f"{entrant.name} (by hand)"


def estimate_text(estimate: Estimate | None) -> str:
    """A mean with its error, for a table; nothing where there is none."""
    return "" if estimate is None else f"{number_text(estimate.mean)} ± {number_text(estimate.standard_error)}"


def number_text(value: float) -> str:
    """Four decimals below 10, as an accuracy has; fewer for larger numbers, such as a perplexity."""
    return f"{value:.4f}" if value < 10 else f"{value:.2f}"


def answer_json(verdict: Verdict | None, measure: Measure) -> dict[str, Any] | None:
    """The verdict as an object that JSON can hold; see ``docs/how-to/answer.md``."""
    if verdict is None:
        return None
    return {
        "measure": measure.to_json(),
        "found": {"trial": verdict.found.entrant.trial, **_standing_json(verdict.found)},
        "references": [{"name": s.entrant.name, **_standing_json(s)} for s in verdict.references],
        "difference": _against_json(verdict.against_best),
        "outcome": verdict.answer.value,
        "in_space": None if verdict.in_space is None else _comparison_json(verdict.in_space),
        "nearest": None if verdict.nearest is None else _nearest_json(verdict.nearest),
    }


def _comparison_json(against: Comparison) -> dict[str, Any]:
    return {**_against_json(against), "outcome": against.answer.value}


def _against_json(against: Comparison) -> dict[str, Any]:
    test = against.test_difference
    return {
        "against": against.reference.entrant.name,
        **estimate_json(against.difference),
        "test": None if test is None else tested_json(test),
    }


def tested_json(difference: Estimate) -> dict[str, float | None]:
    """A difference that may count the examples, with the part of its error that is due to them."""
    return {**estimate_json(difference), "of_examples": difference.of_examples}


def _nearest_json(nearest: Nearest) -> dict[str, Any]:
    changes = [
        {"decision": change.decision, "reference": change.before, "found": change.after} for change in nearest.changes
    ]
    return {"name": nearest.name, "changed": len(changes), "decisions": nearest.decisions, "changes": changes}


def _standing_json(standing: Standing) -> dict[str, Any]:
    return {
        **estimate_json(standing.valid),
        "seeds": standing.seeds,
        "failed": standing.failed,
        **{name: standing.costs.get(name) for name in COSTS},
        "test": None if standing.test is None else estimate_json(standing.test),
    }


def estimate_json(estimate: Estimate) -> dict[str, float | None]:
    """A mean with its error; null where a single number leaves it unknown."""
    error = estimate.standard_error if math.isfinite(estimate.standard_error) else None
    return {"mean": estimate.mean, "standard_error": error}
