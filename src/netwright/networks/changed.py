"""Whether a source has changed since a network was chosen by it: then its test part may not be new to the network."""

from __future__ import annotations

import logging
from typing import Any

from netwright.config import ExperimentConfig
from netwright.errors import DataError
from netwright.experiment import load_data
from netwright.networks.trainable import Trainable
from netwright.store.task_file import CHANGED, FINGERPRINT
from netwright.tasks import Data, kind_of

_log = logging.getLogger(__name__)


def changed_since_search(network: Trainable, config: ExperimentConfig, data: Data | None) -> bool:
    """Whether a network was chosen by other data than its source holds by now.

    A final training lifts limits of the search, and so learns from other examples of the same source. To tell the two
    apart, the source is read once more as the search read it.

    Args:
        network: As its search, its tuning or its training left it.
        config: How it is trained from now on.
        data: What was handed over from Python; None where the source is read.

    Returns:
        False also where nobody can tell: of another source, or of a search of before there were fingerprints.
    """
    searched, known = network.config, network.task.get(FINGERPRINT)
    if searched is None or known is None or searched.data.source != config.data.source:
        return False
    if network.task.get(CHANGED):  # when it was tuned, or trained before
        return True
    kind = kind_of(searched, network.kind)
    try:
        return bool(kind.fingerprint(data or load_data(searched, kind)) != known)
    except DataError:  # it was read then
        return True


def tell_of_change(data: Data) -> dict[str, Any]:
    """Warns of it.

    Returns:
        What a task says of it from then on.
    """
    _log.warning(
        "%s: the data have changed since the search, so what it learned from and chose by may be in the test part, and "
        "the test result be better than on new data; put the data back as they were, or search again",
        data.name,
    )
    return {CHANGED: True}
