"""``netwright bench``: strategies against each other on a table of networks that others trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from netwright.errors import UsageError
from netwright.report.columns import columns
from netwright.settings_file import parse_assignments

if TYPE_CHECKING:
    from netwright.comparison.contests import Standing


def bench(
    table: Annotated[str, typer.Argument(help="nasbench201 or nasbench-macro.")],
    path: Annotated[Path | None, typer.Option("--table", help="The table's file; else in $NETWRIGHT_DATA.")] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="A strategy by name (evolution, reinforce-replay, ...), or optuna:SAMPLER; repeatable. "
            "Without it: all but Optuna's, and but grid, which no seed changes."
        ),
    ] = None,
    evaluations: Annotated[int, typer.Option(min=1, help="Networks that each seed may evaluate.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Searches per strategy.")] = 20,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Change a setting of a strategy (evolution.population=50), of all controllers (controller.hidden=64) "
            "or of the table (table.reward=test_12ep); repeatable.",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Searches at a time; one per core.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results.json and two pictures.")] = None,
    keep_controllers: Annotated[
        bool, typer.Option("--keep-controllers", help="Keep each seed's controller in OUT/controllers.")
    ] = False,
    controller_from: Annotated[
        Path | None,
        typer.Option(help="Start from this controller; from a folder of them, each seed of a strategy from its own."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Compare strategies on a table: each seed searches, and the best network by validation is tested.

    Accuracies are in per cent, as in the tables.
    """
    from netwright.benchmarks.tables import table_file
    from netwright.comparison.contests import Contest, compare, to_json
    from netwright.strategies.by_name import STRATEGIES

    if keep_controllers and out is None:
        raise UsageError("--keep-controllers: say where with --out DIR")
    if out is not None:
        require_plots()
    table_file(table, path)
    names = list(dict.fromkeys(strategy or [name for name, entry in STRATEGIES.items() if entry.seeded]))
    sections = parse_settings(settings or [], ["table", "controller", *names])
    keep_in = out / "controllers" if out is not None and keep_controllers else None
    for folder in filter(None, (out, keep_in)):
        folder.mkdir(parents=True, exist_ok=True)
    contests = [
        Contest(
            table=table,
            path=path,
            table_options=sections["table"],
            strategy=name,
            settings=sections[name],
            controller=sections["controller"],
            evaluations=evaluations,
            take_over=controller_from,
            keep_in=keep_in,
        )
        for name in names
    ]
    with Progress(
        "{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as progress:
        bar = progress.add_task(f"{table}, {evaluations} evaluations", total=len(names) * seeds)
        standings = compare(contests, seeds, processes=workers, on_course=lambda: progress.advance(bar))
    result = to_json(table, evaluations, standings)
    if out is not None:
        (out / "results.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
        draw(standings, out)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(as_table(result))


def parse_settings(assignments: Sequence[str], known: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Values by section and key.

    Args:
        assignments: As :func:`parse_assignments` reads them.
        known: The sections.

    Raises:
        UsageError: Not of that form, or another section.
    """
    sections: dict[str, dict[str, Any]] = {name: {} for name in known}
    for place, value in parse_assignments(assignments).items():
        section, dot, key = place.rpartition(".")
        if not (dot and key):
            raise UsageError(f"--set {place}: expected section.key=value")
        if section not in sections:
            raise UsageError(f"--set {place}: expected a section of {', '.join(known)}, got {section!r}")
        sections[section][key] = value
    return sections


def require_plots() -> None:
    """Checks that pictures can be drawn, before hours of searching.

    Raises:
        UsageError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("--out draws pictures and needs matplotlib: pip install 'netwright[plots]'")


def as_table(result: dict[str, Any]) -> str:
    """The results for a person, within 80 columns; a terminal or a pipe shows all of every figure."""
    rows = [["strategy", "seeds", "valid %", "test %", "repeats", "seconds"]]
    for row in result["results"]:
        means = (_mean(row[split]) for split in ("valid", "test"))
        rows.append([row["strategy"], str(row["seeds"]), *means, f"{row['repeats']:.1f}", f"{row['seconds']:.2f}"])
    title = f"{result['table']}: {result['evaluations']} evaluations, mean ± standard error over seeds"
    return "\n".join([title, *columns(rows)])


def _mean(moments: Mapping[str, Any]) -> str:
    """A mean with its standard error, which a single seed does not have."""
    error = moments["standard_error"]
    return f"{moments['mean']:.3f}" + ("" if error is None else f" ± {error:.3f}")


def draw(standings: Sequence[Standing], folder: Path) -> None:
    """The pictures of a comparison; the second one only if random search took part."""
    from netwright.comparison.plots import plot_against_random, plot_best_so_far

    plot_best_so_far(standings, folder / "best_so_far.png")
    for random in (standing for standing in standings if standing.strategy == "random" and len(standings) > 1):
        plot_against_random(standings, random, folder / "against_random.png")
