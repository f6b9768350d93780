"""Rungs fixed from the references: the margins, the slow starter that must live, and who is refused."""

import pytest

from netwright.config import RungSettings
from netwright.errors import UsageError
from netwright.experiment import prepare
from netwright.recipes import find_recipe
from netwright.search.rungs import rungs
from netwright.settings_file import override

FAST = [[110.0, 100.0, 95.0, 90.0, 88.0, 86.0, 85.0, 85.0]]
WORST = [
    [190.0, 150.0, 130.0, 115.0, 108.0, 104.0, 102.0, 100.0],
    [210.0, 154.0, 134.0, 117.0, 110.0, 104.0, 102.0, 100.0],
]


def test_a_child_is_held_against_the_mean_of_the_worst_reference_with_ever_smaller_margins():
    """Tried: with the best reference in place of the worst, the first limit is 143."""
    limits = rungs([FAST, WORST], RungSettings(), lower_is_better=True)
    means = (200, 152, 132, 116, 109, 104, 102)
    margins = (1.3, 1.3, 1.3, 1.15, 1.15, 1.05, 1.05)
    assert limits.worst == pytest.approx([mean * margin for mean, margin in zip(means, margins, strict=True)])
    assert limits.allow(8, 1e9), "after the last epoch there is nothing to spare"


def test_nascell_would_live_beside_the_lstm_alone():
    """14, 23, 9 and 3 % behind it after the first four of eight epochs, ahead at the end."""
    limits = rungs([FAST], RungSettings(), lower_is_better=True)
    slow = [lstm * behind for lstm, behind in zip(FAST[0], (1.14, 1.23, 1.09, 1.03, 1, 0.98, 0.96, 0.96), strict=True)]
    assert all(limits.allow(epoch, valid) for epoch, valid in enumerate(slow, 1))
    assert not limits.allow(1, 1.31 * FAST[0][0])


def test_of_accuracies_the_low_ones_are_stopped():
    limits = rungs([[[0.5, 0.6, 0.8, 0.9]], [[0.4, 0.7, 0.7, 0.8]]], RungSettings(), lower_is_better=False)
    assert limits.worst == pytest.approx((0.7 * 0.4, 0.85 * 0.6, 0.95 * 0.7))


def test_without_curves_nobody_is_stopped():
    assert rungs([], RungSettings(), lower_is_better=True).worst == ()
    assert rungs([[[0.5]]], RungSettings(), lower_is_better=True).worst == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict.references": []}, "rungs: there are no references to hold children against; set verdict.references"),
        ({"search.executor": "ray", "strategy": {"name": "reinforce"}}, "rungs: controller replicas on Ray"),
        ({"stopping.quantile": 0.5}, "stopping and rungs: expected one of them, got both"),
    ],
)
def test_rungs_need_references_that_are_trained_before(changes, message):
    with pytest.raises(UsageError, match=message):
        prepare(override(find_recipe("text"), {"rungs.first_half": 0.3, **changes}))
