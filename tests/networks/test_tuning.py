"""Where a tuning runs."""

from dataclasses import replace

import pytest

from netwright.cli.main import app
from netwright.errors import UsageError
from netwright.networks.finding import find_network
from netwright.networks.tuning import tuning_of
from netwright.settings_file import override


def test_a_tuning_is_local_unless_told(run):
    """Tried: without it, the tuning of a run on a cluster starts a local Ray, with all the actors of the cluster."""
    network = find_network(str(run))
    network = replace(network, config=override(network.config, {"search.executor": "ray", "cluster.replicas": 100}))
    assert tuning_of([network], {}).search.executor == "local"
    assert tuning_of([network], {}, executor="ray").search.executor == "ray"


def test_the_command_takes_an_address_of_a_cluster_with_its_executor_only(run):
    with pytest.raises(UsageError, match="add --executor ray"):
        app(["tune", str(run), "--ray-address", "auto"], standalone_mode=False)
    assert not (run.parent / "runs").exists()
