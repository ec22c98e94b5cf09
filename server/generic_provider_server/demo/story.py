"""Contains the steps of the demonstration: configuration, subscribers, rejections, a killed
adapter, an outage, a summary.
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path

from generic_provider import (
    Account,
    Address,
    Client,
    ProviderState,
    ProvisioningError,
    RequestState,
    SubscriptionAction,
    TlsFiles,
    actions,
)

from ..simulator.comparison import differences
from ..simulator.platform import Platform, platform_in
from . import processes
from .aluxsat import CHAIN, SERVICES, pair, provider
from .outage import Outage
from .printing import Printer

Tls = TlsFiles | bool | None
PATIENCE = timedelta(seconds=30)
FAMILIES = ("Almeida", "Berger", "Costa", "Dubois")


class Story:
    """One run of the demonstration.

    `run` is a random part of all serial numbers, so that the demonstration can be repeated on the
    same server.
    """

    def __init__(
        self,
        *,
        server: str,
        folder: Path,
        own_server: bool,
        token: str,
        tls: Tls,
        environment: Mapping[str, str],
    ) -> None:
        self.run = secrets.token_hex(2).upper()
        self.printer = Printer()
        self.server = server
        self.folder = folder
        self.code = "ALUXSAT" if own_server else f"ALUXSAT-{self.run}"
        self.environment = environment
        self.crm = Client(server, performed_by="demo", token=token, tls=tls)
        self.numbers: list[str] = []
        self.acknowledged: list[str] = []

    def play(self) -> bool:
        """Runs all steps. Returns whether the final checks found no fault."""
        with self.crm, platform_in(self.folder / "platform.db") as platform:
            self.set_up()
            rules = [
                "--reject=ACTIVATE_SERVICE:FILM=E42:this card has no film rights",
                "--reject=ACTIVATE_SERVICE:KIDS=E17:package sold out",
            ]
            with self._adapter("conax-1", *rules):
                self.subscribers()
                self.refusal()
                self.rejection()
                self.swap()
            self.killed_adapter(platform)
            outage = Outage(self.crm, self.printer, provider=self.code, numbers=self.numbers)
            outage.begin()
            with self._adapter("conax-4"):
                outage.end()
            return self.account(platform)

    def set_up(self) -> None:
        self.printer.step(
            "Set-up: a provider with four viewing points, each requiring the one before"
        )
        self.crm.create_provider(provider(self.code))
        made = self.crm.set_provider_state(self.code, state=ProviderState.EFFECTIVE)
        for each in made.distributors:
            needs = f" requires {each.required_distributor}" if each.required_distributor else ""
            self.printer.say(f"            {each.code}{needs}; a card and a box each")
        self.printer.say(f"            services {', '.join(SERVICES)}; the provider is effective")
        self.printer.say("            an adapter process starts: conax-1, for a simulated platform")

    def subscribers(self) -> None:
        self.printer.step("Four families become subscribers, with one to four viewing points")
        for n, name in enumerate(FAMILIES):
            points = CHAIN[: n + 1]
            self.printer.crm(f"Become Subscriber: {name}, {', '.join(points)}")
            started = time.monotonic()
            done = self.crm.perform(self._become(name, house=n, points=points))
            self.numbers.append(done.subscription.number)
            settled = self._settled(done.action)
            spent = (time.monotonic() - started) * 1_000
            self.printer.say(
                f"            {done.subscription.number} is on the platform after {spent:.0f} ms"
            )
            self.printer.requests(self.crm.list_requests(action=settled.id))
        self.printer.subscription(self.crm.get_subscription(self.numbers[-1]))

    def refusal(self) -> None:
        self.printer.step("An action that breaks a rule is refused at once, and nothing changes")
        self.printer.crm(f"Add Services: NEWS on TWIN2 for {FAMILIES[0]}, who has only MAIN")
        try:
            self.crm.perform(
                actions.AddServices(services=[("TWIN2", "NEWS")]), subscription=self.numbers[0]
            )
        except ProvisioningError as error:
            self.printer.refused(error)

    def rejection(self) -> None:
        self.printer.step("The platform rejects an activation: the CRM's change is rolled back")
        number = self.numbers[1]
        self.printer.crm(f"Add Services: NEWS on TWIN1 and FILM on MAIN for {FAMILIES[1]}")
        done = self.crm.perform(
            actions.AddServices(services=[("TWIN1", "NEWS"), ("MAIN", "FILM")]),
            subscription=number,
        )
        self._print_rejected(done.action)
        self.printer.subscription(self.crm.get_subscription(number))

    def swap(self) -> None:
        self.printer.step("A swap is atomic: its second half is rejected, its first half corrected")
        number = self.numbers[2]
        self.printer.crm(f"Swap Service: SPORT becomes KIDS on MAIN for {FAMILIES[2]}")
        done = self.crm.perform(
            actions.SwapService(distributor="MAIN", old_service="SPORT", new_service="KIDS"),
            subscription=number,
        )
        self._print_rejected(done.action)
        self._wait_for(lambda: not self.crm.get_backlog(self.code).pending)
        self.printer.requests(
            self.crm.list_requests(subscription=number, origin="ROLLBACK", oldest_first=True)
        )
        self.printer.subscription(self.crm.get_subscription(number))

    def killed_adapter(self, platform: Platform) -> None:
        self.printer.step("An adapter is killed in the middle of its work: nothing is lost")
        before = sum(1 for _ in platform.journal())
        self.printer.crm("Add Services: NEWS on MAIN and TWIN1, for all families at once")
        made = [self._news(number) for number in self.numbers]
        with self._adapter("conax-2", "--die-after=3") as victim:
            try:
                victim.wait(PATIENCE.total_seconds())
            except subprocess.TimeoutExpired:
                raise TimeoutError("conax-2 has not applied three requests in time") from None
        self.printer.say(
            "            conax-2 gets SIGKILL: its third request is applied, but not answered"
        )
        self.printer.say(
            "            conax-2 had not sent its answers to the first two requests yet"
        )
        self.printer.say("            conax-3 gets all these requests again, in the same order")
        with self._adapter("conax-3"):
            for action in made:
                self._settled(action)
        self.printer.journal(list(platform.journal())[before:])

    def account(self, platform: Platform) -> bool:
        self.printer.step("The result")
        requests = list(self.crm.list_requests(provider=self.code))
        states = Counter(RequestState.name_of(each.state) for each in requests)
        self.printer.table("Requests by state", ("state", "requests"), sorted(states.items()))
        wrong = list(differences(self.crm, platform, provider=self.code))
        unsettled = [
            each
            for each in self.acknowledged
            if not self.crm.get_action(each).HasField("settle_time")
        ]
        said = (
            ("every acknowledged action is stored and settled", not unsettled),
            ("every request has a final state", "PENDING" not in states),
            ("the platform holds what the CRM shows, for every subscriber", not wrong),
        )
        for text, good in said:
            self.printer.verdict(text, good=good)
        for line in (*wrong, *unsettled):
            self.printer.say(f"  {line}")
        return all(good for _, good in said)

    def _become(self, name: str, *, house: int, points: tuple[str, ...]) -> actions.Action:
        return actions.BecomeSubscriber(
            type="DTH",
            provider=self.code,
            holder=Account(number=f"H{self.run}{house}", name=f"Family {name}"),
            address=Address(lines=[f"{house + 1} Harbour Street"], city="Valletta", country="MT"),
            items=[item for point in points for item in pair(point, house=house, run=self.run)],
            services=[(point, "SPORT") for point in points],
        )

    def _news(self, number: str) -> SubscriptionAction:
        there = self.crm.get_subscription(number)
        have = {(each.distributor, each.service) for each in there.services}
        points = {each.distributor for each in there.services} & {"MAIN", "TWIN1"}
        wanted = [(p, "NEWS") for p in sorted(points) if (p, "NEWS") not in have]
        done = self.crm.perform(actions.AddServices(services=wanted), subscription=number)
        self.acknowledged.append(done.action.id)
        return done.action

    def _adapter(self, name: str, *options: str) -> AbstractContextManager[subprocess.Popen[str]]:
        return processes.adapter(
            name,
            *options,
            server=self.server,
            provider=self.code,
            folder=self.folder,
            environment=self.environment,
        )

    def _print_rejected(self, action: SubscriptionAction) -> None:
        """Prints the result of an action that the platform rejects. The action must be the first
        rejected action of its subscription, because the first rollback event is shown.
        """
        settled = self._settled(action)
        self.printer.requests(self.crm.list_requests(action=settled.id, oldest_first=True))
        self.printer.outcome(settled)
        rolled_back = self.crm.watch_events(
            from_beginning=True, subscription=settled.subscription, kind="SUBSCRIPTION_ROLLED_BACK"
        )
        self.printer.rollback(next(rolled_back))

    def _settled(self, action: SubscriptionAction) -> SubscriptionAction:
        self.acknowledged.append(action.id)
        settled = self.crm.get_action(action.id, wait=PATIENCE)
        if not settled.HasField("settle_time"):
            raise TimeoutError(f"{action.id} was not settled within {PATIENCE}")
        return settled

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the adapters did not finish in time")
            time.sleep(0.02)


def play(server: str, *, token: str, tls: Tls, environment: Mapping[str, str]) -> bool:
    """Runs the demonstration on the given server, or on a new server if `server` is empty.

    `environment`: the variables with which the adapter processes connect to the given server.
    Returns whether the final checks found no fault.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="generic-provider-")))
        address = server or stack.enter_context(processes.server(folder))
        story = Story(
            server=address,
            folder=folder,
            own_server=not server,
            token=token if server else "",
            tls=tls if server else False,
            environment=environment if server else {},
        )
        where = "a running server" if server else "a server of its own, on a fresh database"
        story.printer.title(f"Generic Provider: the main job, on {where} ({address})")
        return story.play()
