"""Tests that a reset run whose server was killed is continued where it stopped."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from generic_provider import (
    Client,
    Distributor,
    EntryOutcome,
    ExistingAccount,
    PerformActionRequest,
    Provider,
    ResetRun,
    ResetRunDefinition,
    ResetRunState,
    Service,
    actions,
)
from support.fresh import dice
from support.processes import Server, wait_until
from support.soak import forms

PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN")],
    services=[
        Service(code="SPORT", provider_service_id="1"),
        Service(code="FILM", provider_service_id="2"),
    ],
)
FILM = ("P", "MAIN", "FILM")
NUMBERS = [f"K{n:04}" for n in range(1_000)]
PACE = 1_000
"""A run resets at most this many subscriptions in a second, so a run over NUMBERS takes a second.
"""


@pytest.mark.timeout(600)
@forms("rounds", suite=1, soak=10)
def test_killed_at_random_a_run_sends_everything_once(
    url: str, tmp_path: Path, rounds: int
) -> None:
    chance = dice("killed runs", url.partition(":")[0])
    with Server(tmp_path, database=url) as server, Client(server.address) as crm:
        crm.create_provider(PROVIDER)
        crm.set_provider_state("P", state="EFFECTIVE")
        crm.batch_perform([_served(number) for number in NUMBERS])
        for n in range(rounds):
            _outage(crm, on=n % 2 == 0)
            run = _killed(server, crm, chance)
            _check(crm, run)


def _served(number: str) -> PerformActionRequest:
    account = ExistingAccount(provider="P", account_number=number, holds_everything=True)
    become = actions.BecomeSubscriber(
        type="OTT", provider="P", services=[("MAIN", "SPORT")], existing=[account]
    )
    return actions.request(become, subscription=number)


def _outage(crm: Client, *, on: bool) -> None:
    """Adds FILM to all subscriptions, or removes it, while the provider is not effective."""
    crm.set_provider_state("P", state="NOT_EFFECTIVE")
    kind = actions.AddServices if on else actions.RemoveServices
    changes = [actions.request(kind(services=[FILM]), subscription=each) for each in NUMBERS]
    crm.batch_perform(changes)
    crm.set_provider_state("P", state="EFFECTIVE")


def _killed(server: Server, crm: Client, chance: random.Random) -> ResetRun:
    """Starts a run, and kills the server while the run is planned or sent, or before the run is
    approved. Returns the run at its end.
    """
    fields = ResetRunDefinition(
        name="night", provider="P", max_switch_off_percent=0, subscriptions_per_second=PACE
    )
    definition = crm.create_reset_run_definition(fields)
    hold = chance.random() < 0.5
    run = crm.submit_reset_run_definition(definition.id, hold=hold).reset_run
    if hold and chance.random() < 0.7:
        _approve(crm, run)
        hold = False
    time.sleep(chance.uniform(0, len(NUMBERS) / PACE))
    server.stop(signal.SIGKILL)
    server.start()
    if hold:
        _approve(crm, run)
    *_, last = crm.watch_reset_run(run.id)
    return last


def _approve(crm: Client, run: ResetRun) -> None:
    wait_until(
        lambda: crm.get_reset_run(run.id).state == ResetRunState.HELD, what="the run is held"
    )
    crm.approve_reset_run(run.id, reason="looked")


def _check(crm: Client, run: ResetRun) -> None:
    every = len(NUMBERS)
    assert run.state == ResetRunState.COMPLETED, run.message
    assert (run.total, run.examined, run.out_of_sync) == (every, every, every)
    assert (run.skipped, run.failed, run.requests_created) == (0, 0, every)
    sent = Counter(each.subscription for each in crm.list_requests(reset_run=run.id))
    assert sent == Counter(NUMBERS)
    entries = list(crm.list_reset_run_entries(run.id))
    assert [each.subscription for each in entries] == NUMBERS
    assert {each.outcome for each in entries} == {EntryOutcome.REQUESTS_CREATED}
    assert not list(crm.list_subscriptions(provider="P", sync_state="OUT_OF_SYNC"))
