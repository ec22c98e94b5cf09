"""The conformance check: what it finds in an adapter that keeps the rules, and in naive ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from generic_provider import Adapter, PlatformDown, ProvisioningRequest, Reject, RequestType
from support.adapter_check import checked
from support.naive_adapter import NaiveAdapter

SLOW = "--slow-type", "update-address"
IMPATIENT = "--patience", "2"


async def test_the_bundled_adapter_breaks_no_rule() -> None:
    code, verdicts = await checked(bundled, *SLOW, "--rejecting", "FILM", "--down", "PPV")

    assert verdicts == dict.fromkeys(range(1, 14), "kept")
    assert code == 0


async def test_what_an_adapter_gives_no_chance_to_see_is_not_held_against_it() -> None:
    code, verdicts = await checked(bundled)

    assert rules(verdicts, "not seen") == {7, 10}
    assert rules(verdicts, "broken") == set()
    assert code == 0


async def test_an_adapter_that_starts_accepts_and_forgets_everything_fails_where_it_does() -> None:
    code, verdicts = await checked(NaiveAdapter().serve, *SLOW, *IMPATIENT, "--rejecting", "FILM")

    assert rules(verdicts, "broken") == {1, 3, 6, 7, 8, 11, 12, 13}
    assert rules(verdicts, "not seen") == {4, 10}
    assert code == 1


async def test_an_adapter_that_goes_on_after_a_rejection_and_never_comes_back_fails_there() -> None:
    naive = NaiveAdapter(reconnects=False, rejecting="FILM")

    code, verdicts = await checked(naive.serve, *IMPATIENT, "--rejecting", "FILM")

    assert rules(verdicts, "broken") == {1, 3, 4, 8, 11, 12}
    assert rules(verdicts, "not seen") == {6, 7}
    assert code == 1


async def test_an_adapter_with_too_little_credit_is_not_judged() -> None:
    async def small(address: str) -> None:
        await Adapter(address, provider="P", name="small", max_in_flight=1).serve()

    code, verdicts = await checked(small)

    assert (code, verdicts) == (1, {})


def rules(verdicts: Mapping[int, str], word: str) -> set[int]:
    return {rule for rule, found in verdicts.items() if found == word}


async def bundled(address: str) -> None:
    adapter = Adapter(address, provider="P", name="bundled", lease_duration=timedelta(seconds=3))

    @adapter.on(RequestType.ACTIVATE_SERVICE)
    async def activate(request: ProvisioningRequest) -> None:
        if request.service.service == "FILM":
            raise Reject("E42", "not on this card")
        if request.service.service == "PPV":
            raise PlatformDown(timedelta(seconds=1))

    @adapter.on(RequestType.UPDATE_ADDRESS)
    async def move(_: ProvisioningRequest) -> None:
        await asyncio.sleep(2)

    @adapter.on(
        RequestType.BECOME_SUBSCRIBER,
        RequestType.DEACTIVATE_SERVICE,
        RequestType.ADD_INSTALLED_ITEM,
        RequestType.REMOVE_INSTALLED_ITEM,
    )
    async def rest(_: ProvisioningRequest) -> None:
        pass

    await adapter.serve()
