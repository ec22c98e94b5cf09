"""Begins reset runs when they are due, and works on runs on which no other server works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import structlog

from ..commands.reset_definitions import BeginDue
from ..commands.reset_run_decisions import DropHeld
from ..commands.reset_runs import Count, SetTotal, Take
from ..commands.reset_sending import LEAST, Send
from ..domain.refusals import Refused
from ..domain.resets.records import EntryOutcome, RunRecord, RunState, Stage, run_id
from ..store.memory.set_aside import Unprocessable
from ..store.store import Store
from ..store.write.command import Command
from .calls_per_second import CallsPerSecond
from .clock_duties import TICK
from .periodic_step import Loop
from .surveying import Survey, holding_besides, passes_guard, survey
from .transaction_size import TransactionSize

MOST_SENT, LONGEST = 1_000, 0.1
"""The greatest number of subscriptions in one step, and the longest duration of a step in seconds
while no other command uses the writer. A step ends soon when another command waits.
"""
PAUSES, LONGEST_PAUSE = 4, 0.1
"""On SQLite, while calls change something, a run pauses PAUSES times as long as other background
work, but at most LONGEST_PAUSE seconds: after a step of a run the adapters' streams and answers use
the interpreter too.
"""

QUERIES = 10
"""In the stage COUNT, the number of queries after which the progress is stored."""

AFTER_FAILURE = 1.0
"""The pause, in seconds, before a run continues after an error."""

log = structlog.get_logger()


class Pace:
    """Limits the number of subscriptions per second. If the number is None, there is no limit."""

    def __init__(self, per_second: int | None, *, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._now = now
        self._begin = self._free_at = now()

    def most(self, size: int) -> int:
        """Returns the number of subscriptions for the next step: at most `size`, and at most the
        number that the limit allows in a quarter of a second.
        """
        return size if self._per_second is None else min(size, self._per_second // 4 + 1)

    def seconds_until_next(self) -> float:
        """Returns the seconds to wait before the next step."""
        now = self._now()
        self._begin = max(now, self._free_at)
        return self._begin - now

    def note(self, examined: int) -> None:
        """Records how many subscriptions the step has examined."""
        if self._per_second is not None:
            self._free_at = self._begin + examined / self._per_second


class Resetting:
    """Works on reset runs. `draining` is set when the server shuts down."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._now = now
        self._sleep = sleep
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._loop = Loop("reset_runs", self.step, seconds=TICK)
        self._calls = CallsPerSecond(store)
        self._transactions = TransactionSize(store, least=LEAST, most=MOST_SENT, longest=LONGEST)
        self._sending = asyncio.Lock()
        """The runs of this process send one after the other. Otherwise the step of one run would
        end soon because the step of another run waits, and two runs would take longer together.
        """
        self.draining = asyncio.Event()

    def start(self) -> None:
        self._loop.start()

    async def step(self) -> None:
        """Begins runs that are due, ends runs that have waited too long for an approval, and starts
        to work on running runs on which no other server works.

        If a command fails for one definition or run, the other commands run nevertheless. At the
        end the function raises the first error.
        """
        server, errors = self._store.server, list[Exception]()
        due = await self._store.read(lambda queries: queries.resets_due(server))
        commands: list[Command[object]] = [BeginDue(id=number) for number in due.definitions]
        commands += [DropHeld(run_number=run) for run in due.held_too_long]
        for command in commands:
            try:
                await self._store.do(command)
            except Exception as error:  # noqa: BLE001 - the first error is raised below
                errors.append(error)
        for run in due.running:
            if run not in self._tasks and not self.draining.is_set():
                self._tasks[run] = asyncio.create_task(self._run(run), name=f"reset run {run}")
        if errors:
            raise errors[0]

    async def stop(self) -> None:
        """Stops the work.

        The finished steps are committed; another server, or this server later, continues the runs.
        """
        self.draining.set()
        await self._loop.stop()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finished(self) -> None:
        """Waits until this server does not work on any run."""
        await asyncio.gather(*self._tasks.values())

    async def _run(self, number: int) -> None:
        try:
            await self._work(number)
        except Refused as refused:
            log.warning("reset_run_interrupted", run=run_id(number), message=refused.message)
            await asyncio.sleep(AFTER_FAILURE)
        except Exception:
            log.exception("reset_run_failed", run=run_id(number))
            await asyncio.sleep(AFTER_FAILURE)
        finally:
            del self._tasks[number]

    async def _work(self, number: int) -> None:
        run = await self._store.do(Take(run_number=number, server=self._store.server))
        if run is None:
            return
        pace = Pace(run.definition.subscriptions_per_second, now=self._now)
        while run is not None and run.state is RunState.RUNNING:
            run = await self._step(run, pace)
        log.info("reset_run_left", run=run_id(number), state=run.state.name if run else "")

    async def _step(self, run: RunRecord, pace: Pace) -> RunRecord | None:
        if run.total == 0 and not run.cursor and run.stage is not Stage.SEND_PLANNED:
            definition = run.definition
            total = await self._store.read(lambda queries: queries.count_candidates(definition))
            counted = await self._store.do(SetTotal(before=run, total=total))
            if counted is None:
                return None
            run = counted
        match run.stage:
            case Stage.COUNT:
                return await self._count(run)
            case Stage.PLAN:
                return await self._survey(run)
            case Stage.SEND | Stage.SEND_PLANNED:
                return await self._send(run, pace)

    async def _count(self, run: RunRecord) -> RunRecord | None:
        """Counts subscriptions for the guard. Examines no subscription if so few subscriptions are
        OUT_OF_SYNC that the guard cannot hold the run.
        """
        definition = run.definition
        if definition.plain and not run.cursor:
            besides = await holding_besides(self._store, definition)
            # the candidates are counted last, so that a subscription that changes between the two
            # counts is counted twice rather than missed
            candidates = await self._store.read(lambda q: q.count_candidates(definition))
            if passes_guard(definition, candidates=candidates, besides=besides):
                enough = Count(before=run, cursor="", examined=0, holding=0, losing=0, last=True)
                return await self._store.do(enough)
        return await self._survey(run)

    async def _surveyed(self, run: RunRecord) -> Survey:
        """Examines the next subscriptions. In the stage PLAN, runs one query only, because the
        findings of this stage are written as entries. In the stage COUNT, runs several queries.
        """
        definition, first = run.definition, run.definition.first
        planned = run.stage is Stage.PLAN
        found = Survey((), run.cursor, examined=0, holding=0, losing=0, last=False)
        for _ in range(1 if planned else QUERIES):
            ask = partial(
                survey,
                definition=definition,
                after=found.cursor,
                most=None if first is None else first - run.out_of_sync - len(found.findings),
                described=planned,
            )
            found = found.plus(await self._store.read(ask))
            if found.last:
                break
        return found

    async def _survey(self, run: RunRecord) -> RunRecord | None:
        definition, found = run.definition, await self._surveyed(run)
        besides = await holding_besides(self._store, definition) if found.last else 0
        count = Count(
            before=run,
            findings=found.findings,
            broken=found.broken,
            cursor=found.cursor,
            examined=found.examined,
            holding=found.holding + besides,
            losing=found.losing,
            last=found.last,
        )
        return await self._store.do(count)

    async def _send(self, run: RunRecord, pace: Pace) -> RunRecord | None:
        most = pace.most(self._transactions.size)
        numbers = await self._next(run, most)
        if numbers and (wait := pace.seconds_until_next()):
            await self._sleep(wait)
        send = Send(before=run, numbers=tuple(numbers), last=len(numbers) < most)
        while True:
            try:
                async with self._sending:
                    sent = await self._store.do(send)
            except Unprocessable as error:
                log.exception("not_reset", run=run_id(run.id), subscription=error.subscription)
                send = replace(send, broken=send.broken | {error.subscription})
            else:
                examined = sent.examined - run.examined if sent else 0
                pace.note(examined)
                self._transactions.done(examined)
                await self._pause()
                return sent

    async def _pause(self) -> None:
        """Pauses while calls change something, but only on SQLite: on PostgreSQL the writer waits
        for the database half of the time, so calls wait less for the interpreter. The pause is
        limited, because a commit may stall for a minute.
        """
        if not self._store.shared and (pauses := self._calls.pauses()):
            await self._sleep(min(PAUSES * pauses * self._transactions.seconds, LONGEST_PAUSE))

    async def _next(self, run: RunRecord, limit: int) -> list[str]:
        after, definition = run.cursor, run.definition
        if run.stage is Stage.SEND:
            return await self._store.read(
                lambda queries: queries.reset_numbers(definition, after=after, limit=limit)
            )
        planned = await self._store.read(
            lambda queries: queries.reset_entries(
                run.id, outcomes=[EntryOutcome.PLANNED], after=after, limit=limit
            )
        )
        return [entry.subscription for entry in planned]
