"""The interface of commands, and a command that waits for its turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from .loaded import Needs
from .transaction import Transaction

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Command(Protocol[Result_co]):
    """A change that runs on the writer's thread.

    `needs` says what to load, `run` makes the change.
    """

    def needs(self) -> Needs: ...

    def run(self, transaction: Transaction) -> Result_co: ...


@dataclass(slots=True, eq=False)
class Asked(Generic[Result]):
    """A command with its result or its error.

    `asked_at`: on the monotonic clock. `blocked`: it needs something that somebody else has locked.
    """

    command: Command[Result]
    needs: Needs
    future: asyncio.Future[Result]
    asked_at: float
    blocked: bool = False
    result: Result | None = None
    error: BaseException | None = None

    @property
    def kind(self) -> str:
        return type(self.command).__name__
