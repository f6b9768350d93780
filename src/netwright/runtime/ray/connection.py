"""The connection to a cluster, and the check that all its nodes run the same versions."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from netwright.errors import UsageError

PATIENCE = 60.0
"""Seconds that a node has to say which versions it runs."""

FINGERPRINT = ("netwright", "torch", "ray")


@contextmanager
def connected(address: str | None, *, cpus: int | None = None) -> Iterator[None]:
    """A connection to a cluster whose nodes all run the same versions.

    Args:
        address: Of a running cluster, ``auto`` for the one of this machine; None starts Ray here. A process that is
            connected already stays where it is.
        cpus: How many cores a Ray that is started here gives out; None means all.

    Raises:
        UsageError: There is no cluster at the address, or its nodes run different versions.
    """
    if ray.is_initialized():
        check_nodes()
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"address": address}
    if address is None:
        # Ray then asks everybody for this secret; left alone, it would write one to the home folder, by which clusters
        # that are started there later would ask for it, too, and their other nodes would not know it.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        options = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    try:
        with _requests_to_end_as_before():
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        named = f"{address} (--ray-address, or RAY_ADDRESS)"
        where = "Ray does not start here" if address is None else f"{named}: no cluster to work with"
        raise UsageError(f"{where}: {str(error).strip().splitlines()[0]}") from None
    try:
        check_nodes()
        yield
    finally:
        ray.shutdown()


@contextmanager
def _requests_to_end_as_before() -> Iterator[None]:
    """Ray answers SIGTERM by ``sys.exit``; whoever began the search has an answer that saves it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def check_nodes() -> None:
    """Checks that all nodes run what this process runs.

    Raises:
        UsageError: They do not; shows a table of versions.
    """
    compare(fingerprint_of_driver(), fingerprints())


def fingerprint_of_driver() -> dict[str, str]:
    """The versions that this process runs, by product."""
    return fingerprint_function()()


def fingerprint_function() -> Callable[[], dict[str, str]]:
    """A function that tells the versions of where it is called; it travels by value, without netwright."""
    products = FINGERPRINT

    # Within a function, so that it travels by value: on a node without netwright it must run, too.
    def fingerprint() -> dict[str, str]:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        found = {"python": platform.python_version()}
        for product in products:
            try:
                found[product] = version(product)
            except PackageNotFoundError:
                found[product] = "missing"
        return found

    return fingerprint


def fingerprints() -> dict[str, dict[str, str]]:
    """The versions that each node runs, by its address."""
    ask = ray.remote(fingerprint_function())
    answers = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerAddress']} ({node['NodeID'][:6]})"
            answers[name] = ask.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote()
    found = {}
    for name, answer in answers.items():
        try:
            found[name] = ray.get(answer, timeout=PATIENCE)
        except ray.exceptions.GetTimeoutError:
            raise UsageError(
                f"node {name} did not say within {PATIENCE:g} s what it runs; see whether Python starts there"
            ) from None
    return found


def compare(driver: Mapping[str, str], nodes: Mapping[str, Mapping[str, str]]) -> None:
    """Checks that all fingerprints are equal.

    Args:
        driver: Version by product.
        nodes: The same of each node, by its name.

    Raises:
        UsageError: One differs; shows them all, and marks what differs.
    """
    if all(node == driver for node in nodes.values()):
        return
    rows = [["", *driver], ["this process", *driver.values()]]
    for name, node in nodes.items():
        cells = [node.get(product, "missing") for product in driver]
        rows.append([name, *(c if c == v else f"{c} !" for c, v in zip(cells, driver.values(), strict=True))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
    raise UsageError(f"the nodes run different versions; install the same ones everywhere:\n{table}")
