"""The answer in words: the right one of three sentences, whichever way the number is better, and what it costs."""

import json
from dataclasses import replace

import pytest

import netwright
from netwright.answer import verdict_in
from netwright.cli.tune import _candidates
from netwright.library import _to_tune
from netwright.measure import ACCURACY, BITS_PER_CHARACTER, PERPLEXITY
from netwright.report.answer import SEEDS_ALONE, answer_json, answer_sentences, answer_text
from netwright.search.estimates import Estimate
from netwright.search.finals import Entrant
from netwright.search.verdict import Comparison, Nearest, Standing, Verdict
from netwright.spaces.difference import Change
from netwright.spaces.published import published
from netwright.store.ranking import best_distinct, searched

FOUND, DRAWN = published("nascell"), published("lstm")
TEST_PART = "on the test part, by which nothing was chosen,"


def standing(mean, error, costs, name=None):
    entrant = Entrant(architecture=DRAWN, name=name) if name else Entrant(architecture=FOUND, trial=7)
    estimate = Estimate(mean=mean, standard_error=error)
    return Standing(entrant=entrant, valid=estimate, test=estimate, seeds=5, costs=costs)


def verdict(found, drawn, *, lower=False, ours=None, theirs=None):
    best = standing(drawn, 0.003, theirs or {"parameters": 10}, "lstm")
    mine = standing(found, 0.004, ours or {"parameters": 12})
    difference = mine.valid.minus(best.valid, lower_is_better=lower)
    return Verdict(found=mine, references=(best,), difference=difference, test_difference=difference)


@pytest.mark.parametrize(
    ("found", "drawn", "lower", "first", "second"),
    [
        (
            0.61,
            0.59,
            False,
            "Answer: BETTER.",
            f"Its accuracy {TEST_PART} is 0.0200 higher, give or take 0.0050. That is more",
        ),
        (
            0.59,
            0.61,
            False,
            "Answer: WORSE.",
            f"The found one's accuracy {TEST_PART} is 0.0200 lower, give or take 0.0050. Use",
        ),
        (
            0.60,
            0.601,
            False,
            "Answer: NO CLEAR DIFFERENCE",
            f"The found one's accuracy {TEST_PART} is 0.0010 lower, give or take 0.0050, which",
        ),
        (9.59, 9.61, True, "Answer: BETTER.", f"Its perplexity {TEST_PART} is 0.0200 lower, give or take 0.0050."),
        (9.61, 9.59, True, "Answer: WORSE.", f"The found one's perplexity {TEST_PART} is 0.0200 higher"),
    ],
)
def test_the_sentence(found, drawn, lower, first, second):
    lines = answer_sentences(verdict(found, drawn, lower=lower), PERPLEXITY if lower else ACCURACY)
    assert lines[0].startswith(first)
    assert "(lstm)" in lines[0]
    assert lines[1].startswith(second)
    side = "better" if (found < drawn) is lower else "worse"
    assert lines[2] == (
        f"On the validation part, by which the search chose, the found one is {abs(found - drawn):.4f} {side}, "
        "give or take 0.0050."
    )
    assert len(lines) == 3


def test_the_answer_is_about_the_test_part_which_chose_nothing():
    """Tried: on the examples that chose it, a found network is ahead by luck that no fresh seed takes away."""
    told = verdict(0.61, 0.59)
    level = Estimate(mean=0.001, standard_error=0.006, of_examples=0.005)
    lines = answer_sentences(replace(told, test_difference=level), ACCURACY)
    assert lines[0].startswith("Answer: NO CLEAR DIFFERENCE")
    assert lines[1].startswith(f"The found one's accuracy {TEST_PART} is 0.0010 higher, give or take 0.0060, which")
    assert "the found one is 0.0200 better, give or take 0.0050" in lines[2]
    assert "also counts what other examples would change" in answer_text(replace(told, test_difference=level), ACCURACY)
    assert SEEDS_ALONE not in answer_text(replace(told, test_difference=level), ACCURACY)
    assert SEEDS_ALONE in answer_text(told, ACCURACY)
    assert "examples" not in answer_text(replace(told, test_difference=None), ACCURACY)
    (alone, second) = answer_sentences(replace(told, test_difference=None), ACCURACY)
    assert alone.startswith("Answer: BETTER.")
    assert second.startswith("Its accuracy is 0.0200 higher, give or take 0.0050.")
    difference = answer_json(replace(told, test_difference=level), ACCURACY)["difference"]
    assert difference["test"] == {"mean": 0.001, "standard_error": 0.006, "of_examples": 0.005}


@pytest.mark.parametrize(("seeds", "says"), [(2, "within 71% only"), (3, "within 50% only"), (4, None), (5, None)])
def test_so_few_trainings_that_their_error_is_a_guess_are_said_to_be(seeds, says):
    """Two trainings 0.0014 apart had an error of 0.0004, and the answer was "worse"."""
    text = answer_text(of_seeds(seeds, seeds), ACCURACY)
    assert f"Means of {seeds} new trainings each" in text
    assert ("netwright verdict --seeds" in text) == (says is not None)
    assert says is None or says in text


def of_seeds(found, drawn):
    """A verdict of so many trainings of either side."""
    both = verdict(0.60, 0.59)
    references = tuple(replace(standing, seeds=drawn) for standing in both.references)
    return replace(both, found=replace(both.found, seeds=found), references=references)


def test_trainings_that_failed_are_left_out_of_how_many_there_were():
    """Tried: of a found network with one training that did not fail, the answer is a division by zero."""
    assert "Means of 4 to 5 new trainings each" in answer_text(of_seeds(5, 4), ACCURACY)
    assert "the error is unknown" in answer_text(of_seeds(1, 2), ACCURACY)


def test_trainings_that_failed_are_told():
    """Tried: of five trainings three diverged, and the two others alone said BETTER."""
    told = verdict(0.62, 0.60)
    failing = replace(told, found=replace(told.found, seeds=2, failed=3))
    lines = answer_sentences(failing, ACCURACY)
    assert lines[:3] == [
        "Answer: NO CLEAR DIFFERENCE between the found network and the best one drawn by hand (lstm).",
        f"The found one's accuracy {TEST_PART} is 0.0200 higher, give or take 0.0050, but only where it did not fail.",
        "The found one failed in 3 of 5 trainings; its numbers are those of the others.",
    ]
    as_json = answer_json(failing, ACCURACY)
    assert (as_json["outcome"], as_json["found"]["failed"]) == ("not distinguishable", 3)
    (best,) = told.references
    lines = answer_sentences(replace(told, references=(replace(best, seeds=4, failed=1),)), ACCURACY)
    assert lines[0].startswith("Answer: BETTER.")
    assert lines[2] == "lstm failed in 1 of 5 trainings; its numbers are those of the others."
    assert answer_json(told, ACCURACY)["references"][0]["failed"] == 0


def test_bits_are_several():
    lines = answer_sentences(verdict(2.02, 2.04, lower=True), BITS_PER_CHARACTER)
    assert lines[1].startswith(f"Its bits per character {TEST_PART} are 0.0200 lower, give or take 0.0050.")


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({"multiply_adds": 500}, {"multiply_adds": 1000}, ["The found one takes 50% of its multiply-adds."]),
        ({"multiply_adds": 980}, {"multiply_adds": 1000}, []),
        (
            {"multiply_adds": 1200, "latency_ms": 0.5},
            {"multiply_adds": 1000, "latency_ms": 1.0},
            ["The found one takes 120% of its multiply-adds and 50% of its latency."],
        ),
        ({"latency_ms": 0.5}, {}, []),
    ],
)
def test_another_cost_is_named(ours, theirs, said):
    assert answer_sentences(verdict(0.61, 0.59, ours=ours, theirs=theirs), ACCURACY)[3:] == said


def test_it_says_how_far_the_search_has_come_from_what_it_began_with():
    plain = verdict(95.1, 96.2, lower=True)
    torch_lstm, lstm = plain.references[0], standing(97.5, 0.3, {"parameters": 10}, "lstm")
    torch_lstm = replace(torch_lstm, entrant=replace(torch_lstm.entrant, name="torch-lstm"))
    difference = plain.found.valid.minus(lstm.valid, lower_is_better=True)
    against = Comparison(found=plain.found, reference=lstm, difference=difference, test_difference=None)
    relus = [Change(f"activation of node {node}", "tanh", "relu") for node in range(6)]
    changed = (*relus, Change("inputs of layer 1", (0,), ()))
    few, many = (Nearest(name="open-lstm", changes=part, decisions=34) for part in (changed[-1:], changed))
    told = replace(plain, references=(torch_lstm, lstm), in_space=against, nearest=few)
    assert answer_sentences(told, PERPLEXITY)[-2:] == [
        "The one drawn by hand that it is most like is open-lstm: 1 of 34 decisions differ "
        "(inputs of layer 1: image instead of 0).",
        "Against lstm, the best drawn one that the space can write, it is better: perplexity is 2.4000 lower, "
        "give or take 0.3000.",
    ]
    (longer, _) = answer_sentences(replace(told, nearest=many), PERPLEXITY)[-2:]
    assert "7 of 34 decisions differ (activation of node 0: relu instead of tanh; " in longer
    assert longer.endswith("activation of node 4: relu instead of tanh; and 2 more).")
    # Where the best of all is the best of the space, the first line has said it.
    assert len(answer_sentences(replace(told, references=(lstm, torch_lstm), nearest=None), PERPLEXITY)) == 3
    as_json = json.loads(json.dumps(answer_json(told, PERPLEXITY)))
    assert as_json["in_space"] == {
        "against": "lstm", "mean": pytest.approx(2.4), "standard_error": pytest.approx(0.3, rel=1e-3), "test": None,
        "outcome": "better",
    }  # fmt: skip
    assert as_json["nearest"] == {
        "name": "open-lstm", "changed": 1, "decisions": 34,
        "changes": [{"decision": "inputs of layer 1", "reference": [0], "found": []}],
    }  # fmt: skip
    nothing = answer_json(plain, PERPLEXITY)
    assert nothing["in_space"] is nothing["nearest"] is None


def test_the_table_and_the_json_have_the_same_numbers():
    costs = {"parameters": 27_930, "multiply_adds": 488_688, "latency_ms": 0.09133, "activation_bytes": 4096}
    found = verdict(0.6021, 0.5872, ours=costs, theirs=costs)
    lines = answer_text(found, ACCURACY).splitlines()
    head = next(line for line in lines if "parameters" in line)
    assert head.split("  ")[-1] == "latency, ms"
    row = next(line for line in lines if line.startswith("found (trial 7)"))
    assert row.split()[3:] == ["0.6021", "±", "0.0040", "0.6021", "±", "0.0040", "27,930", "488,688", "0.09133"]
    told = json.loads(json.dumps(answer_json(found, ACCURACY)))
    assert told["outcome"] == "better"
    assert {name: told["found"][name] for name in costs} == costs
    assert told["references"][0]["name"] == "lstm"
    assert told["difference"]["mean"] == pytest.approx(0.0149)


def test_what_is_tuned_is_what_the_answer_is_about(write_answered_run):
    """``netwright train RUN`` takes that network, too. Tried: by the rewards of the search it is another one."""
    folder = write_answered_run(trials=16)
    rows, answer = searched(folder.store.rows()), verdict_in(folder).found.entrant.trial
    others = [row.id for row in best_distinct(rows, 16) if row.id != answer]
    assert max(rows, key=lambda row: row.reward).id != answer, "else nothing is seen here"
    assert list(_candidates(str(folder.path), "best", 3)) == [str(number) for number in (answer, *others[:2])]
    assert list(_to_tune(netwright.load_run(folder.path), 1)) == [str(answer)]
