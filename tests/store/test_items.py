from __future__ import annotations

import pytest

from generic_provider_server.commands.report import Entry, Report
from generic_provider_server.domain.actions import RemoveItems, SwapItem, Terminate
from generic_provider_server.domain.platform.reported import Reported, ReportedItem
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.values import SECOND, Instant
from generic_provider_server.domain.verdicts import ResponseStatus
from support.bench import Bench, performing
from support.examples import ADD_DECODER, DECODER, viewer

HOUR = 3_600 * SECOND
SWAP = SwapItem(old_serial_number="shared", new_serial_number="new")


async def refusal(bench: Bench, number: str = "S2", serial: str = "shared") -> Refused | None:
    """Returns the refusal if the subscription `number` may not have the item, otherwise None."""
    try:
        await bench.perform(viewer(number, serial=serial), number, validate_only=True)
    except Refused as refused:
        return refused
    return None


async def test_an_item_on_another_subscription_is_in_use(bench: Bench) -> None:
    await bench.become(viewer("S1", serial="shared"))
    refused = await refusal(bench)

    assert refused is not None
    assert refused.reason is Reason.ITEM_IN_USE
    assert refused.metadata["subscription"] == "S1"
    assert "request" not in refused.metadata


async def test_the_same_serial_number_of_another_goods_type_is_another_item(bench: Bench) -> None:
    await bench.become(viewer("S1", serial="shared"))
    await bench.become(viewer("S2"))
    done = await bench.perform(ADD_DECODER, "S2")

    assert done.subscription
    assert DECODER in done.subscription.aggregate.desired.items


async def test_an_item_stays_reserved_until_its_removal_is_settled(bench: Bench) -> None:
    await bench.become(viewer("S1", serial="shared"))
    await bench.accept_all("SAT")
    done = await bench.perform(SWAP, "S1")
    removal = next(r.number for r in done.requests if r.request.item is not None)
    refused = await refusal(bench)
    assert refused is not None
    assert refused.metadata["request"] == f"R{removal:010d}"

    await bench.accept_all("SAT")
    assert await refusal(bench) is None
    assert await refusal(bench, serial="new") is not None


async def test_the_items_of_a_terminated_subscription_come_free(bench: Bench) -> None:
    await bench.become(viewer("S1", serial="shared"))
    await bench.accept_all("SAT")
    await bench.perform(Terminate(), "S1")
    assert await refusal(bench) is not None

    await bench.accept_all("SAT")
    await bench.become(viewer("S2", serial="shared"))


async def test_an_item_never_sent_comes_free_at_once(bench: Bench) -> None:
    await bench.become(viewer("S1", serial="shared", draft=True))
    await bench.perform(Terminate(), "S1")

    assert await refusal(bench) is None


async def test_an_item_that_came_and_went_within_a_group_is_free(bench: Bench) -> None:
    """The repeated action is read from the tables, so the changes before it are written first."""
    first = performing(viewer("S1", serial="a", draft=True), "S1", request_id="first")
    await bench.store.do(first)
    swaps = [
        SwapItem(old_serial_number=old, new_serial_number=new, goods_type="SMARTCARD")
        for old, new in ("ab", "bc")
    ]
    group = [*(performing(swap, "S1") for swap in swaps), first]
    other = performing(viewer("S2", serial="b", draft=True), "S2")

    *_, repeat, last = await bench.store.do_all([*group, other])

    assert repeat.repeated
    assert last.error is None
    assert await refusal(bench, "S3", serial="b") is not None


async def test_an_item_whose_removal_is_rejected_stays_in_use(bench: Bench) -> None:
    await bench.become(viewer("S1", serial="shared"))
    await bench.accept_all("SAT")
    await bench.perform(SWAP, "S1")
    (handed,) = await bench.claim("SAT")
    await bench.answer(handed, status=ResponseStatus.REJECTED)
    await bench.accept_all("SAT")

    assert await refusal(bench) is not None
    assert await refusal(bench, serial="new") is None


async def test_an_item_that_may_be_on_the_platform_stays_reserved(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    await bench.cancelled_in_hand(ADD_DECODER, "S1")
    await bench.become(viewer("S2"))
    with pytest.raises(Refused) as refused:
        await bench.perform(ADD_DECODER, "S2")
    assert refused.value.reason is Reason.ITEM_IN_USE

    await bench.accept_all("SAT")
    await bench.perform(ADD_DECODER, "S2")


async def test_a_late_acceptance_names_an_item_that_another_has_by_now(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    late = await bench.cancelled_in_hand(ADD_DECODER, "S1")
    await bench.accept_all("SAT")
    await bench.become(viewer("S2"))
    await bench.perform(ADD_DECODER, "S2")
    await bench.answer(late)

    (item,) = [i for i in (await bench.confirmed("S1", "SAT")).items if not i.certain]
    assert item.goods == DECODER.goods
    await bench.accept_all("SAT")
    assert DECODER in (await bench.subscription("S2")).aggregate.desired.items


async def test_an_item_that_a_report_named_before_its_subscription_got_it_is_in_use(
    bench: Bench,
) -> None:
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.perform(ADD_DECODER, "S2")
    await bench.accept_all("SAT")
    decoder = ReportedItem(serial_number=DECODER.serial_number, goods_type=DECODER.goods_type)
    entry = Entry(subscription="S1", held=Reported(items=(decoder,)))
    later = Instant(bench.clock.now + HOUR)
    await bench.store.do(Report(provider="SAT", observed_time=later, entries=(entry,)))
    await bench.perform(RemoveItems((DECODER.serial_number,)), "S2")
    await bench.accept_all("SAT")

    await bench.perform(ADD_DECODER, "S1")

    with pytest.raises(Refused) as refused:
        await bench.perform(ADD_DECODER, "S3")
    assert refused.value.metadata["subscription"] == "S1"
