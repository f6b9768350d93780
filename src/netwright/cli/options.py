"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from netwright.errors import UsageError

Within = Annotated[
    list[str] | None,
    typer.Option(metavar="COST=NUMBER", help="The best of the run that fits, e.g. parameters=100000; repeatable."),
]
"""Limits by which a network of a run is chosen; see :func:`netwright.networks.finding.parse_limits`."""

Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Children trained at a time; one per core. Of Ray on this machine, cores to give out."),
]
"""How many children are trained at a time on one machine."""

Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps; on Ray, --set cluster.child_gpus=1 instead.")
]
"""What children of one machine are trained on."""

RayAddress = Annotated[
    str | None,
    typer.Option(help="The cluster: auto, or HOST:PORT. Without it, that of RAY_ADDRESS, or Ray on this machine."),
]
"""Where a search on Ray has its children trained; see :func:`netwright.session.cluster_address`."""


def refuse_with_resume(fixed: Mapping[str, object], what: object) -> None:
    """Checks that nothing is given with ``--resume`` that was fixed when something began.

    Args:
        fixed: Arguments and options by name; None where one is not given.
        what: What began then, in words.

    Raises:
        UsageError: Something is; names it.
    """
    if given := [name for name, value in fixed.items() if value is not None]:
        raise UsageError(f"{', '.join(given)}: fixed when {what} began, so not to be given with --resume")
