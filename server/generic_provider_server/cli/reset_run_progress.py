"""Shows a reset run with a progress bar."""

from __future__ import annotations

import sys

from generic_provider import Client, ResetRun, ResetRunState

from ..desk.command_lines import command
from ..desk.output import console, say_folded
from ..desk.resets import run_lines

FAILED = (ResetRunState.FAILED, ResetRunState.CANCELLED)


def show_progress(client: Client, number: str) -> None:
    """Shows the run until it has ended or waits for its approval. Exits with 1 if the run failed or
    was cancelled, and after Ctrl-C.
    """
    from rich import progress as bars  # noqa: PLC0415 - most commands show no progress

    columns = bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn()
    last = ResetRun()
    try:
        with bars.Progress(*columns, bars.TimeElapsedColumn(), console=console()) as progress:
            task = progress.add_task(number, total=None)
            for last in client.watch_reset_run(number):
                progress.update(
                    task,
                    description=f"{number} {ResetRunState.name_of(last.state)}",
                    total=last.total or None,
                    completed=min(last.examined, last.total),
                )
                if last.state == ResetRunState.HELD:
                    break
    except KeyboardInterrupt:
        cancel = command("reset", "run", "cancel", number)
        text = f"{number} is not watched any more, but it continues; to end it: {cancel}"
        say_folded(text, err=True)
        sys.exit(1)
    say_folded(*run_lines(last))
    if last.state in FAILED:
        sys.exit(1)
