"""Shows a reset run until it has ended."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from generic_provider import Client, DeadlineExceeded, ResetRun, ResetRunState, ServerUnavailable

from ..desk.command_lines import command
from ..desk.output import Output, console, say_folded
from ..desk.resets import run_lines

EXAMINED = (ResetRunState.HELD, ResetRunState.COMPLETED, ResetRunState.COMPLETED_WITH_ERRORS)
"""In these states a run has examined all subscriptions that it had to examine."""

FAILED = (ResetRunState.FAILED, ResetRunState.CANCELLED)


def show_progress(client: Client, output: Output, number: str) -> None:
    """Shows the run until it has ended or waits for its approval: with a progress bar, or as JSON
    after each change. Exits with 1 if the run failed or was cancelled, and after Ctrl-C.
    """
    last, runs = ResetRun(), _until_held(client, number)
    try:
        for last in runs if output.as_json else _with_bar(runs, number):
            if output.as_json:
                output.message(last)
    except KeyboardInterrupt:
        cancel = command("reset", "run", "cancel", number)
        text = f"{number} is not watched any more, but it continues; to end it: {cancel}"
        say_folded(text, err=True)
        sys.exit(1)
    except (ServerUnavailable, DeadlineExceeded):
        again = command("reset", "run", "watch", number)
        say_folded(f"{number} continues on the server; to watch it again: {again}", err=True)
        raise
    if not output.as_json:
        say_folded(*run_lines(last))
    if last.state in FAILED:
        sys.exit(1)


def _until_held(client: Client, number: str) -> Iterator[ResetRun]:
    """Yields the run after each change, until it has ended or waits for its approval."""
    for run in client.watch_reset_run(number):
        yield run
        if run.state == ResetRunState.HELD:
            return


def _with_bar(runs: Iterable[ResetRun], number: str) -> Iterator[ResetRun]:
    from rich import progress as bars  # noqa: PLC0415 - most commands show no progress

    columns = bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn()
    with bars.Progress(*columns, bars.TimeElapsedColumn(), console=console()) as progress:
        task = progress.add_task(number, total=None)
        for run in runs:
            progress.update(
                task,
                description=f"{number} {ResetRunState.name_of(run.state)}",
                total=_last(run) if run.total or run.HasField("end_time") else None,
                completed=min(run.examined, run.total),
            )
            yield run


def _last(run: ResetRun) -> int:
    """Returns the number at which the progress bar is full. `total` would be too great for a run
    with `first`, which may need to examine only a part of the subscriptions.
    """
    return run.examined if run.state in EXAMINED else run.total
