"""Tests that `subscription explain` alone answers typical tickets of a support desk."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from generic_provider import (
    Account,
    Address,
    Client,
    ExistingAccount,
    Provider,
    ProvisioningResponse,
    ResponseStatus,
    actions,
)
from generic_provider.v1.subscription_service_pb2 import AddUsage
from generic_provider_server.desk import facts
from support.command_line import run, told_as_json
from support.processes import Server
from support.pulling import accept_all, answer, take


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("tickets")) as running:
        yield running


@pytest.fixture(scope="module")
def crm(server: Server) -> Iterator[Client]:
    with Client(server.address, performed_by="mari") as client:
        yield client


@pytest.fixture
def provider(crm: Client) -> str:
    """Creates an effective provider that no other test uses."""
    new = Provider(code=f"P{uuid4()}"[:9])
    new.distributors.add(code="MAIN", required_goods_types=["SMARTCARD"])
    new.distributors.add(code="APP")
    new.services.add(code="SPORT", provider_service_id="1001")
    new.services.add(code="SPORT_YEARLY", provider_service_id="1001")
    new.services.add(code="FILM", provider_service_id="1003")
    new.services.add(code="CINEMA", provider_service_id="9", kind="SERVICE_KIND_USAGE")
    new.goods.add(goods_type="SMARTCARD", provider_goods_type="CARD")
    crm.create_provider(new)
    crm.set_provider_state(new.code, state="EFFECTIVE")
    return new.code


@pytest.fixture
def card() -> str:
    return f"{uuid4().int}"[:12]


@pytest.fixture
def number(crm: Client, provider: str, card: str) -> str:
    """Creates a subscription whose requests are all accepted, and returns its number."""
    become = actions.BecomeSubscriber(
        type="DTH",
        provider=provider,
        address=Address(lines=["Vana 1"], city="Tallinn"),
        items=[("MAIN", "SMARTCARD", card)],
        services=[("MAIN", "SPORT")],
    )
    done = crm.perform(become).subscription.number
    accept_all(crm, provider)
    return done


def _explained(server: Server, key: str) -> str:
    result = run("subscription", "explain", key, server=server)
    assert result.exit_code == 0, result.output
    return result.stdout


def _swapped(crm: Client, number: str, *, old: str) -> str:
    """Swaps the card, and returns the serial number of the new card."""
    new = f"{uuid4().int}"[:12]
    swap = actions.SwapItem(old_serial_number=old, new_item=("MAIN", "SMARTCARD", new))
    crm.perform(swap, subscription=number, reference="T-77")
    return new


def _refuse(crm: Client, provider: str) -> str:
    return answer(crm, provider, status=ResponseStatus.REJECTED)


def test_black_after_a_card_swap(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    new, refused = _swapped(crm, number, old=card), ""
    while not (text := _explained(server, number)).count("REJECTED_BY_PLATFORM"):
        request = crm.get_backlog(provider).oldest
        adds = request.installed_item.serial_number == new
        refused = _refuse(crm, provider) if adds else answer(crm, provider)
    accept_all(crm, provider)
    text = _explained(server, number)

    assert re.search(r"SWAP_ITEM by mari for T-77: (PARTLY_)?REJECTED", text)
    assert f"asked      old serial number {card}; new item MAIN:SMARTCARD:{new}" in text
    assert f"REJECTED_BY_PLATFORM E42 not on this card ({refused})" in text
    assert f"taken back item MAIN:SMARTCARD:{new} is gone" in text
    assert f"taken back item MAIN:SMARTCARD:{card} is back" in text
    again = f"--old-serial-number {card} --new-item MAIN:SMARTCARD:{new}"
    assert "next        mend the cause of the refusal, then perform SWAP_ITEM again (A" in text
    assert f") [role crm or operator]: generic-provider action swap-item {number} {again}\n" in text
    by_card = _explained(server, new)
    assert f"{new}: its addition to {number} was refused at 20" in by_card
    assert f"({refused}): E42 not on this card" in by_card
    assert by_card.endswith(f"see: generic-provider subscription explain {number}\n")


def test_a_refusal_is_shown_until_somebody_repeats_the_action(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    new = _swapped(crm, number, old=card)
    _refuse(crm, provider)
    accept_all(crm, provider)
    for n in range(5):
        change = actions.ChangeSubscriber(holder=Account(name=f"Mari {n}"))
        crm.perform(change, subscription=number)
        accept_all(crm, provider)

    text = _explained(server, number)
    assert re.search(
        r"  refused     A\S+ 20\S+ \S+ SWAP_ITEM by mari for T-77: \w+, not repeated", text
    )
    again = f"--old-serial-number {card} --new-item MAIN:SMARTCARD:{new}"
    assert f": generic-provider action swap-item {number} {again}\n" in text
    assert f"older ones: generic-provider action list --subscription {number}\n" in text
    assert re.search(
        r"last error .*E42 not on this card \(the platform accepted R\S+ after this error\)", text
    )
    _swapped(crm, number, old=card)
    accept_all(crm, provider)
    assert "next        nothing: the platform holds" in _explained(server, number)


def test_a_swap_and_its_correction_were_refused(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    _swapped(crm, number, old=card)
    answer(crm, provider)
    _refuse(crm, provider)
    correction = _refuse(crm, provider)
    text = _explained(server, number)

    assert f" {correction} ACTIVATE_SERVICE MAIN:SPORT: E42 not on this card" in text
    shown = run("request", "show", correction, server=server).stdout
    assert re.search(rf"platform id +\S+\n  for +MAIN:SMARTCARD:{card}\n", shown), shown
    assert f"--provider {provider}; the reset does not repeat SWAP_ITEM" in text
    assert "which was taken back, then perform SWAP_ITEM again (A" in text
    assert f"generic-provider action swap-item {number} --old-serial-number {card} " in text


def test_the_customer_has_moved(server: Server, crm: Client, provider: str, number: str) -> None:
    move = actions.ChangeLocation(address=Address(lines=["Uus 5"], city="Tartu"))
    asked = crm.perform(move, subscription=number).action.id

    pending = _explained(server, number)
    assert "  address   Uus 5, Tartu\n" in pending
    assert "  its address Vana 1, Tallinn\n" in pending
    assert "UPDATE_ADDRESS Uus 5, Tartu, waits for " in pending
    _refuse(crm, provider)
    refused = _explained(server, number)

    assert "asked      address Uus 5, Tartu\n" in refused
    assert "taken back the address is again: Vana 1, Tallinn" in refused
    assert "  address   Vana 1, Tallinn\n" in refused
    assert "its address" not in refused
    change = f"generic-provider action change-location {number} --whole"
    again = f"then perform CHANGE_LOCATION again ({asked}) [role crm or operator]: {change}"
    assert f"{again} --address-line 'Uus 5' --city Tartu\n" in refused


def _film(start: datetime) -> AddUsage:
    return actions.AddUsage(
        service="CINEMA",
        distributor="MAIN",
        reference="V-1",
        start_time=start,
        end_time=start + timedelta(hours=3),
        parameters={"film": "Kevade"},
    )


def test_a_pay_per_view_is_not_visible(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    usage = _film(start)
    crm.perform(usage, subscription=number)

    times = f"from {start:%Y-%m-%d %H:%M:%SZ} to {start + timedelta(hours=3):%Y-%m-%d %H:%M:%SZ}"
    film = f"MAIN:CINEMA V-1 {times} (film=Kevade)"
    pending = _explained(server, number)
    assert f"usage     {film}; " in pending
    assert "ADD_UDR PENDING at" in pending
    assert "is connected: start one, or, if one runs, see its log" in pending
    request = answer(crm, provider)
    assert f"usage     {film}; {request} ADD_UDR COMPLETED at" in _explained(server, number)

    usage.reference = "V-2"
    usage.start_time.FromDatetime(start + timedelta(hours=2, minutes=1))
    crm.perform(usage, subscription=number)
    accept_all(crm, provider)
    assert re.search(r"nothing: CINEMA V-2 begins at 20.*, in 2 h", _explained(server, number))
    crm.perform(actions.CancelUsage(usage="V-1"), subscription=number)
    _refuse(crm, provider)
    assert f"taken back usage {film} is back" in _explained(server, number)


def test_the_old_card_still_works(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    new = _swapped(crm, number, old=card)

    pending = _explained(server, card)
    assert f"REMOVE_INSTALLED_ITEM MAIN:SMARTCARD:{card}, waits for " in pending
    assert f"SMARTCARD {new}" in pending
    accept_all(crm, provider)

    removed = next(
        each.number for each in crm.list_requests(subscription=number, type="REMOVE_INSTALLED_ITEM")
    )
    by_card = _explained(server, card)
    assert f"{card} was removed from {number} by {removed} at 20" in by_card
    reset = f"generic-provider reset subscription {number} --provider {provider}"
    assert "if the card still works, report what the platform holds" in by_card
    assert by_card.rstrip().endswith(f"then [role support or operator]: {reset}")
    newest, *_ = told_as_json("subscription", "explain", card, server=server)
    assert newest["number"] == removed
    refused = run("action", "terminate", card, server=server)
    assert (refused.exit_code, "[SUBSCRIPTION_NOT_FOUND]" in refused.stderr) == (1, True)
    assert f"was removed from {number} by {removed}" in refused.stderr


def test_after_an_outage_an_older_rejection_is_not_blamed(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    move = actions.ChangeLocation(address=Address(lines=["Uus 5"], city="Tartu"))
    crm.perform(move, subscription=number)
    _refuse(crm, provider)
    crm.set_provider_state(provider, state="NOT_EFFECTIVE")
    crm.perform(actions.StopServices(services=[("MAIN", "SPORT")]), subscription=number)
    crm.set_provider_state(provider, state="EFFECTIVE")

    reset = f"generic-provider reset subscription {number} --provider {provider}"
    missed = _explained(server, number)
    assert "last error" in missed
    assert f"next        perhaps {provider} was made not effective at 20" in missed
    assert "and later changes in the CRM were not sent; send what is missing" in missed
    assert missed.rstrip().endswith(reset)
    crm.reset_subscription(number)
    _refuse(crm, provider)
    refused = _explained(server, number)
    assert "next        mend the cause of the rejection, then send what is missing" in refused
    lost = f"{reset}; if the platform has lost the account [role support or operator]: {reset}"
    assert refused.rstrip().endswith(f"{lost} --recreate")
    crm.reset_subscription(number)
    accept_all(crm, provider)
    (link,) = crm.get_subscription(number).provider_links
    assert not link.repair_rejected


def test_the_contents_of_an_account_that_was_taken_over_are_not_known(
    server: Server, crm: Client, provider: str, card: str
) -> None:
    # an outage that was over before the first action is no cause
    crm.set_provider_state(provider, state="NOT_EFFECTIVE")
    crm.set_provider_state(provider, state="EFFECTIVE")
    become = actions.BecomeSubscriber(
        type="DTH",
        provider=provider,
        items=[("MAIN", "SMARTCARD", card)],
        services=[("MAIN", "SPORT")],
        existing=[ExistingAccount(provider=provider, account_number=f"CAS-{card}")],
    )
    number = crm.perform(become).subscription.number

    text = _explained(server, number)
    known = "perhaps the platform had this account already, and nobody has reported its contents"
    assert f"next        {known}; send what is missing" in text
    assert text.rstrip().endswith(f"reset subscription {number} --provider {provider}")


def test_a_card_is_missing(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    crm.perform(actions.RemoveItems(serial_numbers=[card]), subscription=number)
    accept_all(crm, provider)

    add = f"generic-provider action add-items {number} --item={provider}:MAIN:SMARTCARD:SERIAL"
    assert _explained(server, number).endswith(
        f"with its serial number [role crm or operator]: {add}\n"
    )


def test_an_activation_is_stuck(server: Server, crm: Client, provider: str, number: str) -> None:
    crm.perform(actions.StopServices(services=[("MAIN", "SPORT")]), subscription=number)
    accept_all(crm, provider)
    start = actions.StartServices(services=[("MAIN", "SPORT")])
    request = crm.perform(start, subscription=number).requests[0].number
    taken = take(crm, provider)

    text = _explained(server, number)
    stuck = rf"pending +{request} ACTIVATE_SERVICE MAIN:SPORT, waits for "
    assert re.search(stuck + r"ANSWER of puller, attempt 1; created \d+ s ago, 20.*Z\n", text)
    handed_over = crm.get_request(request).last_delivery_time.ToDatetime()
    latest = f"at {handed_over + timedelta(hours=1):%Y-%m-%d %H:%M:%SZ} at the latest"
    assert f"handed over again when its lease ends, {latest}\n" in text
    later = ResponseStatus.RETRY_LATER
    answer(crm, provider, status=later, taken=taken, delay=timedelta(hours=1))
    text = _explained(server, number)
    assert re.search(stuck + "RETRY at .*, attempt 1: E42 not on this card; created", text)
    assert "START_SERVICES by mari: EXECUTED" in text
    assert f"requests   {request} ACTIVATE_SERVICE PENDING" in text


def _taken(crm: Client, provider: str, number: str) -> ProvisioningResponse:
    """Stops SPORT, and pulls the request of this action."""
    crm.perform(actions.StopServices(services=[("MAIN", "SPORT")]), subscription=number)
    return take(crm, provider)


def test_a_rejection_without_a_reason_is_told(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    taken = _taken(crm, provider, number)
    taken.status = ResponseStatus.REJECTED
    crm.send_responses(provider, responses=[taken])

    listed = run("request", "list", f"--subscription={number}", server=server).stdout

    said = f"{taken.request} DEACTIVATE_SERVICE MAIN:SPORT: the adapter gave no reason\n"
    assert re.search(f"last error  20.* {said}", _explained(server, number))
    (line,) = [line for line in listed.splitlines() if line.startswith(taken.request)]
    assert line.endswith("the adapter gave no reason")


def test_attempts_that_left_no_reason_are_told(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    taken = _taken(crm, provider, number)
    assert "earlier attempts" not in _explained(server, number)
    taken.status = ResponseStatus.RETRY_LATER  # without a code, without a text
    crm.send_responses(provider, responses=[taken])

    text = _explained(server, number)
    listed = run("request", "list", f"--subscription={number}", server=server).stdout

    why = "earlier attempts ended without an answer, or without a reason"
    assert re.search(rf"pending +{taken.request} .*, attempt 1: {why}; created", text)
    (line,) = [line for line in listed.splitlines() if line.startswith(taken.request)]
    assert line.endswith(why)


def test_an_activation_that_is_stuck_again_and_again_can_be_cancelled(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    crm.perform(actions.StopServices(services=[("MAIN", "SPORT")]), subscription=number)
    for _ in range(2):
        later = ResponseStatus.RETRY_LATER
        answer(crm, provider, status=later, delay=timedelta(seconds=0.1))
    request = take(crm, provider).request

    cancel = f"generic-provider request cancel {request} --end-lease --reason WHY"
    assert f"; if the request can never succeed [role operator]: {cancel}\n" in _explained(
        server, number
    )


def test_actions_find_their_subscription_by_card_and_by_account(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    new = actions.BecomeSubscriber(type="DTH", provider=provider, holder=Account(number=f"H{card}"))
    with_account = crm.perform(new).subscription.number
    answer(crm, provider, account_number=f"CAS-{card}")
    for key, found in (card, number), (f"CAS-{card}", with_account), (f"H{card}", with_account):
        moved = run("action", "change-location", key, "--city=Tartu", server=server)
        assert f"subscription {found}," in moved.stdout, moved.output
        assert "Tartu" in moved.stdout


def test_an_action_shows_what_was_asked_and_what_stands_again(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    remove = actions.RemoveItems(serial_numbers=[card])
    action = crm.perform(remove, subscription=number).action.id
    while crm.get_backlog(provider).pending:
        _refuse(crm, provider)

    shown = run("action", "get", action, server=server).stdout

    assert f"asked         serial numbers {card}" in shown
    assert f"taken back    item MAIN:SMARTCARD:{card} is back" in shown
    (told,) = told_as_json("action", "get", action, server=server)
    assert [each["gone"] for each in told["taken_back"] if "item" in each] == [False]


@pytest.mark.parametrize("what", ["action", "request", "audit", "archive"])
def test_a_list_that_is_filtered_by_a_card_says_how_to_find_the_number(
    server: Server, number: str, card: str, what: str
) -> None:
    listed = run(what, "list", f"--subscription={card}", server=server)

    said, hint = listed.stderr.splitlines()
    assert (listed.exit_code, said) == (0, "nothing found")
    assert hint.startswith(f"no subscription has the number {card}; if it is a card ")
    assert hint.endswith(f"generic-provider subscription explain {card}")
    known = run(what, "list", f"--subscription={number}", server=server)
    assert "if it is a card" not in known.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("request", "list"),
        ("subscription", "list"),
        ("audit", "list"),
        ("archive", "list"),
        ("adapters",),
        ("reset", "run", "list"),
        ("reset", "run", "list", "--definitions"),
    ],
)
def test_a_list_that_is_filtered_by_a_misspelt_provider_says_so(
    server: Server, provider: str, command: tuple[str, ...]
) -> None:
    misspelt = f"{provider}X"
    wrong = run(*command, f"--provider={misspelt}", server=server)

    said, hint = wrong.stderr.splitlines()
    assert (wrong.exit_code, said) == (0, "nothing found")
    assert f"{misspelt!r}" in hint
    assert f"did you mean {provider!r}? see: generic-provider provider list" in hint


def _next(server: Server, key: str) -> str:
    (line,) = [each for each in _explained(server, key).splitlines() if "  next  " in each]
    return line.removeprefix("  next").strip()


def test_what_was_refused_in_an_activation_is_started(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    film = actions.AddServices(services=[("MAIN", "FILM")])
    crm.perform(film, subscription=number)
    accept_all(crm, provider)
    until = datetime.now(UTC) + timedelta(days=1)
    for off, on in (
        (actions.Deactivate(), actions.Activate()),
        (actions.Rest(until=until), actions.EndResting()),
    ):
        crm.perform(off, subscription=number)
        accept_all(crm, provider)
        crm.perform(on, subscription=number)
        while (request := crm.get_backlog(provider).oldest).service.service != "FILM":
            answer(crm, provider)
        assert _refuse(crm, provider) == request.number
        accept_all(crm, provider)

        start = f"start-services {number} --service={provider}:MAIN:FILM"
        purpose = "to switch FILM on MAIN on, if wanted [role crm or operator]"
        said = f"mend the cause of the refusal; {purpose}: generic-provider action {start}"
        assert _next(server, number) == said
        started = run("action", *said.rpartition(" action ")[2].split(), server=server)
        assert started.exit_code == 0, started.output
        accept_all(crm, provider)
        assert _next(server, number).startswith(
            "nothing: the platform holds what the CRM wants; if"
        )


def test_a_subscriber_whom_the_platform_refused_is_activated(
    server: Server, crm: Client, provider: str
) -> None:
    become = actions.BecomeSubscriber(type="DTH", provider=provider, services=[("APP", "SPORT")])
    number = crm.perform(become).subscription.number
    _refuse(crm, provider)

    switch_on = "if the subscription should be on now, switch it on [role crm or operator]"
    activate = f"generic-provider action activate {number}"
    said = f"mend the cause of the refusal; {switch_on}: {activate}"
    assert _next(server, number) == said
    crm.perform(actions.Activate(), subscription=number)
    accept_all(crm, provider)
    assert "not repeated" not in _explained(server, number)


def test_what_was_refused_and_ordered_in_another_way_is_not_advised_again(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    crm.perform(actions.AddServices(services=[("MAIN", "FILM")]), subscription=number)
    _refuse(crm, provider)
    assert "perform ADD_SERVICES again" in _next(server, number)
    swap = actions.SwapService(distributor="MAIN", old_service="SPORT", new_service="FILM")
    crm.perform(swap, subscription=number)
    accept_all(crm, provider)

    assert _next(server, number).startswith("nothing: the platform holds what the CRM wants")
    assert "not repeated" not in _explained(server, number)


def _advised(text: str) -> list[str]:
    """Returns the words of the first command line that is advised as the next step."""
    commands = re.findall(r"  next  .*?generic-provider ([^;\n]+)", text)
    return shlex.split(commands[0])


def test_the_service_accepts_what_is_advised_when_the_subscription_is_off_by_now(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    crm.perform(_film(datetime.now(UTC)), subscription=number)
    _refuse(crm, provider)
    crm.perform(actions.Deactivate(), subscription=number)
    accept_all(crm, provider)

    off = _explained(server, number)
    assert re.search(r"  refused     A\S+ \S+ \S+ ADD_USAGE by mari: REJECTED, not repeated", off)
    assert _advised(off) == ["action", "activate", number]
    assert run(*_advised(off), server=server).exit_code == 0
    accept_all(crm, provider)
    usage = _advised(_explained(server, number))
    assert usage[:3] == ["action", "add-usage", number]
    assert run(*usage, server=server).exit_code == 0


def test_a_refused_swap_is_not_advised_again_when_the_old_service_has_gone(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    swap = actions.SwapService(distributor="MAIN", old_service="SPORT", new_service="FILM")
    crm.perform(swap, subscription=number)
    _refuse(crm, provider)
    assert _advised(_explained(server, number))[:2] == ["action", "swap-service"]
    remove = actions.RemoveServices(services=[("MAIN", "SPORT")])
    crm.perform(remove, subscription=number)
    accept_all(crm, provider)
    assert "SWAP_SERVICE again" not in _explained(server, number)


def test_an_order_that_two_platforms_refused_is_advised_at_both(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    other = Provider(code=f"Q{uuid4()}"[:9])
    other.distributors.add(code="MAIN")
    other.services.add(code="MOVIES", provider_service_id="1")
    crm.create_provider(other)
    crm.set_provider_state(other.code, state="EFFECTIVE")
    add = actions.AddServices(services=[(provider, "MAIN", "FILM"), (other.code, "MAIN", "MOVIES")])
    action = crm.perform(add, subscription=number).action.id
    for code in (provider, other.code):
        _refuse(crm, code)
    told = "  next        mend the cause of the refusal, then perform ADD_SERVICES again"
    assert _explained(server, number).count(f"{told} ({action})") == 2


def test_a_request_that_waits_for_a_newer_one_is_not_taken_for_the_first(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    _swapped(crm, number, old=card)
    crm.perform(actions.AddServices(services=[("MAIN", "FILM")]), subscription=number)
    crm.perform(actions.AddServices(services=[("APP", "FILM")]), subscription=number)
    _refuse(crm, provider)  # the correction of the request for MAIN gets the greatest number
    first = take(crm, provider).request

    pending = crm.list_requests(subscription=number, state="PENDING", oldest_first=True)
    assert [each.number for each in pending][-1] == first
    assert _next(server, number).startswith(f"wait: puller has had {first} since")
    shown = [each for each in _explained(server, number).splitlines() if "  pending  " in each]
    assert f"  pending     {first} " in shown[0]


def test_a_request_about_an_earlier_record_with_the_same_reference_is_not_shown(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    usage = _film(datetime.now(UTC))
    remove = actions.RemoveItems(serial_numbers=[card])
    for action in (usage, actions.CancelUsage(usage="V-1"), remove, usage):
        crm.perform(action, subscription=number)
        accept_all(crm, provider)
    assert re.search(r"  usage  .* \(film=Kevade\); not sent\n", _explained(server, number))


def test_a_usage_record_is_called_unsent_only_if_all_requests_are_known(
    server: Server, crm: Client, provider: str, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm.perform(_film(datetime.now(UTC)), subscription=number)
    accept_all(crm, provider)
    move = actions.ChangeLocation(address=Address(lines=["Uus 5"], city="Tartu"))
    crm.perform(move, subscription=number)
    accept_all(crm, provider)
    monkeypatch.setattr(facts, "MOST_REQUESTS", 1)
    assert "; not sent" not in _explained(server, number)


def test_two_plans_of_one_package_have_the_same_name_on_both_sides(
    server: Server, crm: Client, provider: str, number: str, card: str
) -> None:
    plan = actions.SwapService(distributor="MAIN", old_service="SPORT", new_service="SPORT_YEARLY")
    assert not crm.perform(plan, subscription=number).requests

    row = next(each for each in _explained(server, number).splitlines() if "MAIN  " in each)
    item = f"SMARTCARD {card}"
    told = [provider, "MAIN", item, "SPORT_YEARLY EFFECTIVE", item, "SPORT_YEARLY"]
    assert re.split(" {2,}", row) == told


def test_nothing_is_sent_to_a_provider_that_is_not_effective(
    server: Server, crm: Client, provider: str, number: str
) -> None:
    crm.set_provider_state(provider, state="NOT_EFFECTIVE")
    held = "nothing: the platform holds what the CRM wants"
    off = f"{provider} is not effective, so nothing can be sent"
    assert _next(server, number) == f"{held}; {off}"
