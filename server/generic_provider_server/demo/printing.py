"""Prints the steps of the demonstration."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule
from rich.table import Column, Table

from generic_provider import (
    ActionState,
    Event,
    ProvisioningError,
    ProvisioningRequest,
    RequestOrigin,
    RequestState,
    RequestType,
    ResetRun,
    ResetRunState,
    ServiceState,
    Subscription,
    SubscriptionAction,
    SyncState,
)

from ..simulator.platform import Line, what
from ..visible import visible

WIDTH = 80


class Printer:
    """Prints the progress of the demonstration."""

    def __init__(self) -> None:
        self._console = Console(width=WIDTH, highlight=False)
        self._step = 0

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")

    def step(self, text: str) -> None:
        self._step += 1
        self._console.print()
        self._console.print(Rule(f"[bold]{self._step}. {text}", align="left", style="dim"))

    def say(self, text: str) -> None:
        self._console.print("\n".join(map(visible, text.split("\n"))), markup=False)

    def crm(self, text: str) -> None:
        self._console.print(f"[cyan]CRM      [/cyan] → {text}")

    def refused(self, error: ProvisioningError) -> None:
        self._console.print(f"[red]refused  [/red] ← {error.reason}")
        self.say(textwrap.indent(textwrap.fill(error.message, WIDTH - 12), " " * 12))

    def requests(self, requests: Iterable[ProvisioningRequest]) -> None:
        for each in requests:
            state = RequestState.name_of(each.state)
            colour = {"COMPLETED": "green", "REJECTED": "red"}.get(state, "yellow")
            origin = " (correction)" if each.origin == RequestOrigin.ROLLBACK else ""
            self._console.print(
                f"[blue]request  [/blue] · {each.number} {RequestType.name_of(each.type):<19}"
                f" {_plain(what(each))}{origin} [{colour}]{state}[/{colour}]"
            )
            if each.error_code:
                self.say(f"            {each.error_code}: {each.error_description}")

    def outcome(self, action: SubscriptionAction) -> None:
        state = ActionState.name_of(action.state)
        colour = "green" if state == "SETTLED" else "red"
        self._console.print(f"[{colour}]outcome  [/{colour}] ← {action.id} {state}")

    def rollback(self, event: Event) -> None:
        """Prints the event of a rollback. A CRM that watches events gets this event."""
        change = event.subscription_rolled_back
        self._console.print(
            f"[cyan]CRM gets event[/cyan] ← {event.subscription} was rolled back,"
            f" because of {change.request.number}"
        )
        for undone in change.taken_back:
            if undone.HasField("service"):
                back = undone.service
                now = ServiceState.name_of(back.state)
                self.say(f"            taken back: {back.service} on {back.distributor} is {now}")

    def subscription(self, subscription: Subscription) -> None:
        link = subscription.provider_links[0]
        holder, account = map(_plain, (subscription.holder.name, link.account_number))
        self._console.print(
            f"[magenta]shown    [/magenta] · {subscription.number} {holder}, "
            f"account {account}, {SyncState.name_of(link.sync_state)}"
        )
        for point in dict.fromkeys(each.distributor for each in subscription.services):
            here = [each for each in subscription.services if each.distributor == point]
            names = ", ".join(f"{e.service} {ServiceState.name_of(e.state)}" for e in here)
            self.say(f"            {point:<6} {names}")

    def journal(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.say(
                f"platform  · {line.request} {line.type:<18} {line.what:<18}"
                f" by {line.adapter}: {line.outcome}"
            )

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        table = Table(
            *[Column(name, overflow="fold") for name in columns], title=title, title_justify="left"
        )
        for row in rows:
            table.add_row(*[_plain(str(cell)) for cell in row])
        self._console.print()
        self._console.print(table)

    @contextmanager
    def progress(self, name: str) -> Iterator[Callable[[ResetRun], None]]:
        """Yields a function that shows how many requests of a reset run are completed."""
        columns = TextColumn("progress  · {task.description}"), BarColumn(20), MofNCompleteColumn()
        with Progress(*columns, console=self._console) as bars:
            task = bars.add_task(name, total=None)

            def update(run: ResetRun) -> None:
                state = ResetRunState.name_of(run.state)
                done, total = run.requests_completed, run.requests_created or None
                bars.update(task, description=f"{name} {state}", completed=done, total=total)

            yield update

    def verdict(self, text: str, *, good: bool) -> None:
        mark = "[green]✓[/green]" if good else "[bold red]✗[/bold red]"
        self._console.print(f"{mark} {text}")


def _plain(text: str) -> str:
    """Returns the text with escapes instead of markup and control characters."""
    return escape(visible(text))
