"""Defines the interface of commands, and a queued command with its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from ...domain.audit import AuditEntry
from .loaded import Needs
from .transaction import Transaction

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Command(Protocol[Result_co]):
    """A change that runs on the writer's thread.

    `needs` names the rows that the transaction loads for the command; `run` makes the change.
    """

    def needs(self) -> Needs: ...

    def run(self, transaction: Transaction) -> Result_co: ...


class Audit(Protocol):
    """A call that is recorded in the audit trail, in the transaction that makes its change."""

    def entry(self, asked: Sequence[Asked[Any]], /) -> AuditEntry | None:
        """Returns the entry for the commands of the call that ran in one transaction.

        If the commands of a call run in several transactions, each transaction adds counts to the
        same entry. The writer's thread calls this method.
        """
        ...

    def given_up(self, asked: Sequence[Asked[Any]], /) -> None:
        """Records the refusal of a call whose caller did not wait for the outcome. The event loop
        calls this method after the commands have run.
        """
        ...


@dataclass(slots=True, eq=False)
class Awaited:
    """What the caller of one or several commands awaits. `left`: how many of them have not run."""

    future: asyncio.Future[None]
    left: int

    def count_down(self) -> None:
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(None)

    def give_up(self, then: Callable[[], None]) -> None:
        """Replaces the future, which the caller has cancelled, so that `then` is called after all
        commands have run.
        """
        self.future = self.future.get_loop().create_future()
        self.future.add_done_callback(lambda _: then())
        if not self.left:
            self.future.set_result(None)


@dataclass(slots=True, eq=False)
class Asked(Generic[Result]):
    """A queued command, with its result or error after it has run.

    `asked_at`: the time of the monotonic clock at which the command was queued. `audit`: the call
    that queued the command. `blocked`: true while the command waits for a lock of another session.
    `repeated`: true if an earlier call with the same request_id has made the change.
    """

    command: Command[Result]
    needs: Needs
    awaited: Awaited
    asked_at: float
    audit: Audit | None = None
    blocked: bool = False
    repeated: bool = False
    result: Result | None = None
    error: BaseException | None = None

    def outcome(self) -> Result:
        """Returns the result, or raises the error."""
        if self.error is not None:
            raise self.error
        return cast(Result, self.result)

    @property
    def kind(self) -> str:
        return type(self.command).__name__


def entries_of(group: Iterable[Asked[Any]]) -> Iterator[AuditEntry]:
    """Yields the entries of the calls whose commands have run."""
    calls: dict[Audit, list[Asked[Any]]] = {}
    for asked in group:
        if asked.audit is not None:
            calls.setdefault(asked.audit, []).append(asked)
    return filter(None, (call.entry(asked) for call, asked in calls.items()))
