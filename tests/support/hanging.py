"""Freezes servers, stalls their connections, locks their rows, and restarts or disturbs their
database.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from .postgres import PostgresServer
from .processes import Server
from .stalling import StallingProxy

FAKE_CLOCK = """
CREATE SCHEMA ours;
CREATE TABLE ours.step (seconds double precision);
INSERT INTO ours.step VALUES (0);
CREATE FUNCTION ours.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
'SELECT pg_catalog.clock_timestamp() + seconds * interval ''1 second'' FROM ours.step'"""
LOCKED = (
    "SELECT 1 FROM subscription ORDER BY random() LIMIT 3 FOR UPDATE",
    "SELECT 1 FROM lane ORDER BY random() LIMIT 3 FOR UPDATE",
    "SELECT 1 FROM server FOR UPDATE",
)


class StepClock:
    """Sets the clock that the servers read from the database, and leaves all other clocks alone."""

    def __init__(self, postgres: PostgresServer, database: str) -> None:
        self._postgres, self._database = postgres, database
        self.url = postgres.url(database)
        postgres.sql(FAKE_CLOCK, database=database)
        postgres.sql(f"ALTER DATABASE {database} SET search_path = ours, pg_catalog")

    def step(self, seconds: float) -> None:
        change = "UPDATE ours.step SET seconds = seconds + %s"
        self._postgres.sql(change, seconds, database=self._database)


@dataclass
class Hanging:
    """Causes random faults. A frozen server, a stalled connection or a lock lasts for 0.1 to 2
    times the servers' `--patience-seconds`. While the database is restarted, no fault that needs
    the database is caused.
    """

    chance: random.Random
    patience: float
    postgres: PostgresServer
    servers: Sequence[Server]
    proxies: Sequence[StallingProxy]
    clock: StepClock
    counted: Counter[str] = field(default_factory=Counter)

    async def happen(self, seconds: float, *, everything: bool) -> None:
        kinds = [self.freeze_a_server]
        if everything:
            kinds += [self.stall_a_connection, self.lock_rows, self.end_sessions]
            kinds += [self.restart_the_database, self.set_the_clock]
        until = time.monotonic() + seconds
        await asyncio.gather(*[self._repeat(kind, until) for kind in kinds])

    async def _repeat(self, kind: Callable[[], None], until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(self.chance.uniform(0.1, 1) * self.patience)
            await asyncio.to_thread(kind)
            self.counted[kind.__name__] += 1

    def freeze_a_server(self) -> None:
        server = self.chance.choice(self.servers)
        server.send(signal.SIGSTOP)
        self._last()
        server.send(signal.SIGCONT)

    def stall_a_connection(self) -> None:
        proxy = self.chance.choice(self.proxies)
        proxy.stall()
        self._last()
        proxy.go_on()

    def lock_rows(self) -> None:
        with suppress(psycopg.OperationalError), psycopg.connect(self.clock.url) as connection:
            connection.execute(self.chance.choice(LOCKED).encode())
            self._last()

    def end_sessions(self) -> None:
        end = (
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
            "WHERE application_name = 'generic-provider' ORDER BY random() LIMIT 4) AS chosen"
        )
        with suppress(psycopg.OperationalError):
            self.postgres.sql(end)
        time.sleep(2 * self.patience)

    def restart_the_database(self) -> None:
        time.sleep(8 * self.patience)
        self.postgres.stop(self.chance.choice(("fast", "immediate")))
        self.postgres.start()

    def set_the_clock(self) -> None:
        time.sleep(2 * self.patience)
        with suppress(psycopg.OperationalError):
            self.clock.step(self.chance.choice((-120, -3, 3, 120)))

    def _last(self) -> None:
        time.sleep(self.chance.uniform(0.1, 2) * self.patience)
