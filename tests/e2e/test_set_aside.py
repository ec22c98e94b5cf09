"""Tests that operators see which subscription cannot be processed, and that adapters get the
requests of all other subscriptions.
"""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from generic_provider import Client, Distributor, Provider, Service, actions
from support.command_line import run
from support.processes import Server


def test_a_subscription_that_cannot_be_processed_is_shown_with_the_backlog(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        with Client(server.address) as client:
            client.create_provider(
                Provider(
                    code="P",
                    distributors=[Distributor(code="MAIN")],
                    services=[Service(code="NEWS", provider_service_id="1")],
                )
            )
            client.set_provider_state("P", state="EFFECTIVE")
            for number in ("S1", "S2"):
                become = actions.BecomeSubscriber(type="DTH", provider="P")
                client.perform(become, subscription=number)
        server.stop(signal.SIGTERM)
        with closing(sqlite3.connect(tmp_path / "generic-provider.db")) as database, database:
            database.execute("UPDATE subscription SET document = x'7b7d' WHERE number = 'S1'")
        server.start()
        with Client(server.address) as client:
            given = client.pull("P", adapter="adapter").subscriptions
            shown = run("backlog", "P", server=server).stdout

    assert [each.subscription for each in given] == ["S2"]
    assert "SET ASIDE from delivery: subscription S1, failures: 1, next attempt: " in shown
    assert "missing required field" in shown
