"""Tests that the simulated platform removes the elements that a request names, and reports its
contents.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from generic_provider import (
    PlatformEntitlement,
    PlatformItem,
    PlatformSubscription,
    ProvisionedService,
    testing,
)
from generic_provider_server.simulator.platform import Platform, performed, platform_in
from generic_provider_server.simulator.reporting import reported
from support.command_line import run


def test_what_is_named_without_a_viewing_point_is_removed_at_any() -> None:
    become = testing.request("BECOME_SUBSCRIBER")
    holds = performed(None, become)
    service, card = become.services[0], become.installed_items[0]
    service.distributor = card.distributor = ""
    holds = performed(holds, testing.request("DEACTIVATE_SERVICE", service=service))
    holds = performed(holds, testing.request("REMOVE_INSTALLED_ITEM", installed_item=card))
    assert holds is not None
    assert (holds["services"], holds["items"]) == ([], [])


def test_the_database_of_another_program_is_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "generic-provider.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE provider (code TEXT)")
    before = file.read_bytes()
    with pytest.raises(OSError, match="not the file of a simulated platform: it has the table pro"):
        Platform(file)
    assert file.read_bytes() == before


def test_a_file_with_the_statistics_of_sqlite_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "platform.db"
    Platform(file).close()
    with closing(sqlite3.connect(file)) as database:
        database.execute("INSERT INTO subscriber VALUES ('S1', '{}')")
        database.commit()
        database.execute("ANALYZE")
    Platform(file).close()


@pytest.mark.parametrize("option", ["--die-after", "--freeze-after"])
def test_a_fault_after_a_negative_number_of_requests_is_refused(option: str) -> None:
    refused = run("adapter", "simulate", "--provider=P", f"{option}=-1")
    assert (refused.exit_code, "-1 is not in the range" in refused.stderr) == (2, True)


def test_names_with_blanks_are_reported_as_they_are(tmp_path: Path) -> None:
    become = testing.request("BECOME_SUBSCRIBER", subscription="S1")
    (card,) = become.installed_items
    card.distributor, card.provider_goods_type, card.serial_number = "TV 1", "SMART CARD", "1 %20"
    service = ProvisionedService(distributor="TV 1", provider_service_id="Sport HD", items=[card])
    become.services[0].CopyFrom(service)
    with platform_in(tmp_path / "platform.db") as platform:
        platform.perform(become, adapter="a")
        (told,) = reported(platform)
    assert told == PlatformSubscription(
        subscription="S1",
        items=[
            PlatformItem(
                distributor="TV 1", provider_goods_type="SMART CARD", serial_number="1 %20"
            )
        ],
        entitlements=[
            PlatformEntitlement(
                distributor="TV 1", provider_service_id="Sport HD", serial_numbers=["1 %20"]
            )
        ],
    )
