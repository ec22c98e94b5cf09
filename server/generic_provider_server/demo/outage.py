"""Demonstrates an outage: the CRM works without the platform, then a reset run corrects the
differences.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from generic_provider import (
    Address,
    Client,
    ProviderState,
    RequestType,
    ResetRunDefinition,
    SyncState,
    actions,
)

from .printing import Printer

PATIENCE = timedelta(seconds=30)


class Outage:
    """The steps of the outage. Call `begin` while no adapter runs, and `end` while an
    adapter runs.
    """

    def __init__(
        self, crm: Client, printer: Printer, *, provider: str, numbers: Sequence[str]
    ) -> None:
        self.crm = crm
        self.printer = printer
        self.provider = provider
        self.numbers = numbers

    def begin(self) -> None:
        self.printer.step("An outage: the platform does not work, and the CRM continues without it")
        self.crm.set_provider_state(self.provider, state=ProviderState.NOT_EFFECTIVE)
        self.printer.say(f"            {self.provider} is not effective: no requests are created")
        first, second, third, fourth = self.numbers
        moved = Address(lines=["7 New Road"], city="Sliema", country="MT")
        for number, said, action in (
            (first, "Stop Services: NEWS", actions.StopServices(services=[("MAIN", "NEWS")])),
            (second, "Change Location: Sliema", actions.ChangeLocation(address=moved)),
            (third, "Add Services: FILM", actions.AddServices(services=[("MAIN", "FILM")])),
            (fourth, "Stop Services: SPORT", actions.StopServices(services=[("TWIN3", "SPORT")])),
        ):
            self.printer.crm(f"{said} for {number}")
            self.crm.perform(action, subscription=number)
        self.printer.say(
            "            all four changes are in the CRM; the platform has received none"
        )

    def end(self) -> None:
        self.printer.step("The platform is back: a preview, then one reset run for everybody")
        self.crm.set_provider_state(self.provider, state=ProviderState.EFFECTIVE)
        definition = self.crm.create_reset_run_definition(
            ResetRunDefinition(name="after the outage", provider=self.provider)
        )
        self._preview(definition.id)
        run = self.crm.submit_reset_run_definition(definition.id).reset_run.id
        self._watch(run)
        in_sync = self._in_sync()
        text = f"subscriptions in sync: {in_sync} of {len(self.numbers)}"
        self.printer.verdict(text, good=in_sync == len(self.numbers))

    def _preview(self, definition: str) -> None:
        preview = self.crm.preview_reset_run(definition)
        rows = [
            (entry.subscription if n == 0 else "", each.text)
            for entry in preview.entries
            for n, each in enumerate(entry.differences)
        ]
        self.printer.table("What differs from the CRM", ("subscription", "difference"), rows)
        for each in preview.totals.requests:
            self.printer.say(f"            {each.count} x {RequestType.name_of(each.type)}")

    def _watch(self, run: str) -> None:
        """Waits until the platform has answered all requests of the run. After the end of the run,
        waits for the last answers for at most PATIENCE.
        """
        with self.printer.progress(run) as update:
            for last in self.crm.watch_reset_run(run):
                update(last)
            deadline = time.monotonic() + PATIENCE.total_seconds()
            while last.requests_pending and time.monotonic() < deadline:
                time.sleep(0.05)
                last = self.crm.get_reset_run(run)
                update(last)

    def _in_sync(self) -> int:
        found = self.crm.list_subscriptions(provider=self.provider, sync_state=SyncState.IN_SYNC)
        return len({each.number for each in found} & set(self.numbers))
