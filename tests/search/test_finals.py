"""Which trainings a verdict asks for, and what it says of their results."""

import dataclasses
import itertools

import pytest

from netwright.config import VerdictSettings
from netwright.search.estimates import Answer, Estimate, answer_of
from netwright.search.finals import Entrant, Field, Measured, Purpose
from netwright.search.verdict import Nearest, verdict_of
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.difference import Change
from netwright.spaces.grammar import Choice

SETTINGS = VerdictSettings(references=("a", "b", "c"), reference_seeds=2, contenders=2, finalists=4, seeds=3)


def network(name):
    return ChoiceArchitecture(space="networks", choices=(("name", name),))


def field(found=4, lower_is_better=False, **changes):
    return Field(
        found=[Entrant(architecture=network(f"found {n}"), trial=n) for n in range(found)],
        references=[Entrant(architecture=network(name), name=name) for name in "abc"],
        settings=SETTINGS.model_copy(update=changes),
        lower_is_better=lower_is_better,
    )


def run(field, value, test=None):
    """Does all trainings that are asked for; returns them batch by batch, and the results."""
    results, batches = {}, []
    while missing := field.missing(results.get):
        assert not any(training in results for training in missing)
        batches.append(missing)
        for training in missing:
            number = value(training)
            results[training] = Measured(valid=number, test=None if test is None else test(training))
    return batches, results


def skill(training):
    """Found 2 is the best of all; b is the best reference; seeds add a little noise."""
    name = str(training.architecture["name"])
    base = {"found 0": 0.5, "found 1": 0.55, "found 2": 0.6, "found 3": 0.52, "a": 0.4, "b": 0.56, "c": 0.45}[name]
    return base + 0.001 * training.number


def test_references_come_first_then_halving_rounds_then_last_seeds():
    batches, results = run(field(), skill)
    assert [len(batch) for batch in batches] == [3 * 2, 4, 2 * 2, 3 * 3]
    assert {t.purpose for t in batches[0]} == {Purpose.REFERENCE}
    assert [str(t.architecture["name"]) for t in batches[2]] == ["found 2", "found 1"] * 2
    assert {str(t.architecture["name"]) for t in batches[3]} == {"found 2", "b", "c"}
    assert {t.purpose for t in batches[3]} == {Purpose.LAST}
    assert verdict_of(field(), results.get).found.entrant.trial == 2


def test_no_two_trainings_share_a_seed():
    """Tried: without the purpose in the seed, the last seeds are those that chose."""
    batches, _ = run(field(), skill)
    seeds = [training.seed(7) for training in itertools.chain(*batches)]
    assert len(set(seeds)) == len(seeds)
    assert seeds != [training.seed(8) for training in itertools.chain(*batches)]


def test_the_verdict_is_made_of_the_last_seeds_alone():
    """Tried: counting the finalists' rounds, too, gives another mean."""
    _, results = run(field(), lambda t: 0.3 if t.purpose is Purpose.LAST else skill(t), test=lambda t: 0.25)
    verdict = verdict_of(field(), results.get)
    assert verdict.found.valid == Estimate(mean=0.3, standard_error=0.0)
    assert verdict.found.test == Estimate(mean=0.25, standard_error=0.0)
    assert verdict.difference.mean == 0.0
    assert verdict.answer is Answer.NOT_DISTINGUISHABLE


def test_the_difference_is_positive_where_the_found_network_is_better_whatever_the_direction():
    _, results = run(field(), skill)
    up = verdict_of(field(), results.get)
    assert up.references[0].entrant.name == "b"
    assert up.difference.mean == pytest.approx(0.04)
    assert up.answer is Answer.BETTER
    down = field(lower_is_better=True)
    _, results = run(down, lambda t: 1 - skill(t))
    verdict = verdict_of(down, results.get)
    assert verdict.found.entrant.trial == 2
    assert verdict.difference.mean == pytest.approx(0.04)


SPACE = ChoiceSpace("networks", (Choice("depth", (1, 2, 3)), Choice("width", (8, 16)), Choice("joins", ("add", "max"))))


def written(entrants, strings):
    return [dataclasses.replace(entrant, tokens=tokens) for entrant, tokens in zip(entrants, strings, strict=True)]


def in_space(*references):
    """The same field in a space that writes some of the references; all that is found is (2, 1, 1)."""
    plain = field()
    found = written(plain.found, [(2, 1, 1)] * len(plain.found))
    return dataclasses.replace(plain, found=found, references=written(plain.references, references), space=SPACE)


def test_the_verdict_names_the_most_similar_reference_and_what_became_of_it():
    _, results = run(field(), skill)
    nearest = verdict_of(in_space((0, 0, 1), None, (0, 1, 1)), results.get).nearest
    assert nearest == Nearest(name="c", changes=(Change("depth", 1, 3),), decisions=3)
    assert verdict_of(in_space(None, None, None), results.get).nearest is None
    assert verdict_of(in_space((0, 0), None, None), results.get).nearest is None, "of another size"
    assert verdict_of(field(), results.get).nearest is None, "the space is not known"


def test_the_verdict_compares_with_the_best_reference_that_the_space_can_write():
    """b is the best of all, c the second. Tried: with the best of all, b is named, which no search begins from."""
    _, results = run(field(), skill, test=lambda t: 0.5)
    against = verdict_of(in_space((0, 0, 0), None, (0, 1, 1)), results.get).in_space
    assert against.reference.entrant.name == "c"
    assert against.difference.mean == pytest.approx(0.15)
    assert against.test_difference.mean == 0
    assert against.reference == verdict_of(in_space((0, 0, 0), None, (0, 1, 1)), results.get).references[1]
    assert against.answer is Answer.NOT_DISTINGUISHABLE, "the test part decides"
    _, untested = run(field(), skill)
    assert verdict_of(in_space((0, 0, 0), None, (0, 1, 1)), untested.get).in_space.answer is Answer.BETTER
    assert verdict_of(in_space((0, 0, 0), (0, 0, 0), None), results.get).in_space.reference.entrant.name == "b"
    assert verdict_of(in_space((0, 0, 0), None, None), results.get).in_space is None, "a had no last seeds"


def test_what_is_missing_does_not_depend_on_the_order_of_results():
    batches, results = run(field(), skill)
    backwards = dict(reversed(list(results.items())))
    assert field().missing(backwards.get) == []
    some = {training: results[training] for batch in reversed(batches[:2]) for training in reversed(batch)}
    assert field().missing(some.get) == batches[2]


def test_a_finalist_whose_training_fails_is_not_named():
    """Tried: without failures placed last, the mean of the seeds that are left would win."""

    def value(training):
        fails = str(training.architecture["name"]) == "found 2" and training.purpose is Purpose.FINAL
        return None if fails and training.number == 1 else skill(training)

    _, results = run(field(), value)
    assert verdict_of(field(), results.get).found.entrant.trial == 1


def test_a_training_that_was_lost_does_not_count_against_a_network():
    """Tried: with it among the failures, the best reference is no contender, and the answer is better than it is."""
    results = {}
    while missing := field().missing(results.get):
        for training in missing:
            name = str(training.architecture["name"])
            lost = (name, training.purpose, training.number) in {("b", "reference", 1), ("found 2", "final", 1)}
            results[training] = Measured(valid=None, lost=True) if lost else Measured(valid=skill(training))
    verdict = verdict_of(field(), results.get)
    assert verdict.found.entrant.trial == 2
    assert verdict.references[0].entrant.name == "b"


@pytest.mark.parametrize(
    ("failing", "lost", "answer", "counts"),
    [
        ((), (), Answer.BETTER, (3, 0)),
        ((1,), (), Answer.NOT_DISTINGUISHABLE, (2, 1)),
        ((), (1,), Answer.BETTER, (2, 0)),
    ],
)
def test_a_network_whose_last_trainings_failed_is_not_called_better(failing, lost, answer, counts):
    """Tried: with the failures dropped, one that diverges in three of five is better by the two that are left."""
    plain, results = in_space((0, 0, 0), None, (0, 1, 1)), {}
    while missing := plain.missing(results.get):
        for training in missing:
            last = (str(training.architecture["name"]), training.purpose) == ("found 2", "last")
            if last and training.number in (*failing, *lost):
                results[training] = Measured(valid=None, lost=training.number in lost)
            else:
                results[training] = Measured(valid=skill(training))
    verdict = verdict_of(plain, results.get)
    assert verdict.answer is verdict.in_space.answer is answer
    assert (verdict.found.seeds, verdict.found.failed) == counts
    assert verdict.against_best.held_back == verdict.in_space.held_back == bool(failing)


def test_what_a_failing_network_is_worse_by_counts_and_a_failing_reference_is_compared_by_the_rest():
    def value(training):
        if training.purpose is Purpose.LAST and training.number == 0:
            return None
        return skill(training) - 0.2 * str(training.architecture["name"]).startswith("found") * (
            training.purpose is Purpose.LAST
        )

    _, results = run(field(), value)
    verdict = verdict_of(field(), results.get)
    assert verdict.answer is Answer.WORSE
    assert [standing.failed for standing in (verdict.found, *verdict.references)] == [1, 1, 1]


def test_without_anything_found_there_is_no_verdict_and_nothing_more_to_train():
    batches, results = run(field(found=0), skill)
    assert [len(batch) for batch in batches] == [6]
    assert verdict_of(field(found=0), results.get) is None


def test_a_long_search_has_more_finalists_and_rounds_until_one_is_named():
    """Tried: with three rounds whatever the number, two are left, of whom the one is named that was ahead before."""
    many = field(found=40, finalist_share=0.25)

    def worth(training):
        """Each is better than the one before; the ninth is the best of all by its seeds from the sixth on."""
        name = str(training.architecture["name"])
        place = int(name.removeprefix("found ")) if name.startswith("found") else -1
        return 0.5 + 0.01 * place + (training.purpose is Purpose.FINAL) * (place == 8) * (training.number >= 5) * 0.5

    batches, results = run(many, worth)
    assert [len(batch) for batch in batches] == [6, 10, 5 * 2, 3 * 2, 2 * 4, 3 * 3]
    assert sum(map(len, batches[1:])) == many.settings.trainings_at_end(40)
    assert verdict_of(many, results.get).found.entrant.trial == 8
    assert len(run(field(found=40, finalist_share=0.05), worth)[0][1]) == 4, "no fewer than finalists"


def test_a_single_finalist_needs_no_rounds():
    batches, _ = run(field(found=1), skill)
    assert [len(batch) for batch in batches] == [6, 9]


@pytest.mark.parametrize(
    ("mean", "error", "answer"),
    [
        (0.021, 0.01, Answer.BETTER),
        (0.019, 0.01, Answer.NOT_DISTINGUISHABLE),
        (-0.019, 0.01, Answer.NOT_DISTINGUISHABLE),
        (-0.021, 0.01, Answer.WORSE),
        (0.0, 0.0, Answer.NOT_DISTINGUISHABLE),
    ],
)
def test_better_means_more_than_two_standard_errors(mean, error, answer):
    assert answer_of(Estimate(mean=mean, standard_error=error)) is answer


def test_a_standard_error_is_that_of_the_mean():
    estimate = Estimate.of([0.5, 0.6, 0.7])
    assert estimate.mean == pytest.approx(0.6)
    assert estimate.standard_error == pytest.approx(0.1 / 3**0.5)


def test_where_rewards_count_costs_networks_are_ranked_by_them():
    """Tried: with the validation number in place of the reward, found 2 and b are what is compared."""
    dear = {"found 2", "b"}

    def measured(training):
        number = skill(training)
        reward = number / 10 if str(training.architecture["name"]) in dear else number
        return Measured(valid=number, reward=reward)

    by_reward = field()
    by_reward = dataclasses.replace(by_reward, by_reward=True)
    results = {}
    while missing := by_reward.missing(results.get):
        results |= {training: measured(training) for training in missing}
    verdict = verdict_of(by_reward, results.get)
    assert verdict.found.entrant.trial == 1
    assert [standing.entrant.name for standing in verdict.references] == ["c", "a"]
    assert verdict.difference.mean == pytest.approx(0.55 - 0.45)
