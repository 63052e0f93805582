"""`tocsin runbook test` and `reference`: run the tests that stand in runbook files, and print the reference of the language."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli.common import run, set_up_logs
from bot.config.linting import gathered
from bot.config.reference import reference as written
from bot.errors import BadInput
from bot.rehearsal.coverage import Covered
from bot.rehearsal.running import Rehearsal, Result

SHOWN_MISSING = 8


def rehearse(
    files: Annotated[list[Path], typer.Argument(help="runbook files or folders")],
    only: Annotated[str, typer.Option("-k", help="only tests whose name, or whose runbook's, has this word")] = "",
    coverage: Annotated[
        int | None, typer.Option(min=0, max=100, help="fail below this percentage of steps and branches")
    ] = None,
) -> None:
    """Run the `tests:` of runbooks, without any outside world. Exit code 1 when one fails, 2 when a file is wrong."""
    set_up_logs("critical", "console")
    found = gathered(files, app.registry())
    rehearsal = Rehearsal(found, wanted=lambda name: only.lower() in name.lower())

    async def work() -> list[Result]:
        results = []
        async for result in rehearsal.results():
            results.append(result)
            _show(result)
        return results

    begun = time.perf_counter()
    results = run(work())
    seconds = time.perf_counter() - begun
    covered = rehearsal.covered()
    if results and not only:
        _table(covered)
    if only and not results:
        raise BadInput(
            f"-k {only!r}: no test of these {len(found.names)} runbooks has that in its name or its runbook's"
        )
    failed = sum(1 for result in results if result.failures)
    each = f", {len(results) / seconds:.0f} a second" if results and seconds else ""
    tests, runbooks = counted(len(results), "test"), counted(len(found.names), "runbook")
    typer.echo(f"{tests} of {runbooks}, {failed} failed, {seconds:.2f} s{each}")
    low = [one for one in covered if coverage is not None and one.percent < coverage]
    for one in low:
        typer.echo(f"{one.runbook}: {one.percent} % of its steps and branches are tested, wanted {coverage} %")
    if failed or low:
        raise typer.Exit(1)


def reference() -> None:
    """Print the reference of the runbook language and of all actions, as Markdown: docs/runbook-reference.md."""
    typer.echo(written(app.registry()), nl=False)


def counted(number: int, what: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _show(result: Result) -> None:
    outcome = "FAIL" if result.failures else "ok  "
    typer.echo(f"{outcome} {result.runbook}: {result.test}  ({result.seconds * 1000:.0f} ms)")
    for failure in result.failures:
        typer.echo(f"     {result.place}: {failure}")


def _table(covered: Sequence[Covered]) -> None:
    """What the tests reach, a line for each runbook, and what they do not."""
    width = max(len("runbook"), *(len(one.runbook) for one in covered))
    typer.echo(f"\n{'runbook':{width}}  steps  branches  covered")
    for one in covered:
        steps, branches = (f"{reached}/{there}" for reached, there in (one.steps, one.branches))
        typer.echo(f"{one.runbook:{width}}  {steps:>5}  {branches:>8}  {one.percent:>5} %")
        if one.missing:
            rest = len(one.missing) - SHOWN_MISSING
            more = f" and {rest} more" if rest > 0 else ""
            typer.echo(f"{'':{width}}  not reached: {'; '.join(one.missing[:SHOWN_MISSING])}{more}")
    typer.echo("")
