"""Tests that in every history the service does the same as the reference model, which is a plain
second implementation of the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    Activate,
    AddServices,
    ChangeTerms,
    Deactivate,
    Replace,
    Selection,
)
from generic_provider_server.domain.values import (
    SECOND,
    Account,
    DeliverySettings,
    Distributor,
    GoodsMapping,
    Instant,
    Provider,
    ProviderState,
    RequestMethod,
    RequestSettings,
    Service,
    ServiceKind,
    State,
)
from support.catalogues import GOODS
from support.figures import Figure
from support.fresh import play_fresh
from support.lifetimes import CALM, STORMY, UNREFUSED, Lifetime, Step, providers
from support.reference.mirror import Mirror
from support.soak import histories
from support.subscribers import MARI, TALLINN, goods, on, online, viewer
from support.worlds import world

WHOLE = RequestMethod.WHOLE_SUBSCRIPTION
WHOLE_SUBSCRIPTION = RequestSettings(activation_method=WHOLE, deactivation_method=WHOLE)
RENT = Service(code="RENT", provider_service_id="R", kind=ServiceKind.USAGE)
FILM = replace(RENT, code="VOD", provider_service_id="V", required_service="FILM")
MAIN = Distributor(code="MAIN", required_goods_types=GOODS)
TWIN = Distributor(code="TWIN1", required_distributor="MAIN", required_goods_types=GOODS[:1])

SATELLITE = Provider(
    code="ALUXSAT",
    state=ProviderState.EFFECTIVE,
    distributors=(MAIN,),
    services=(
        *[Service(code=code, provider_service_id=code) for code in ("NEWS", "SPORT", "FILM")],
        RENT,
        FILM,
    ),
    goods=tuple([GoodsMapping(goods, goods) for goods in GOODS]),
)
ONLINE = Provider(
    code="OTT",
    state=ProviderState.EFFECTIVE,
    distributors=(Distributor(code="APP"),),
    services=(
        *[Service(code=code, provider_service_id=code) for code in ("OTTX", "OTTY")],
        RENT,
    ),
)
AMONG = {
    "whole subscriptions": [
        replace(SATELLITE, request_settings=WHOLE_SUBSCRIPTION),
        replace(ONLINE, request_settings=replace(WHOLE_SUBSCRIPTION, term_end_on_platform=True)),
    ],
    "one platform that knows term ends": [
        replace(
            SATELLITE,
            request_settings=RequestSettings(term_end_on_platform=True),
            delivery_settings=DeliverySettings(max_delivery_attempts=2),
        )
    ],
    "two viewing points": [
        replace(
            SATELLITE,
            distributors=(MAIN, TWIN),
            request_settings=RequestSettings(deactivation_method=WHOLE),
        ),
        ONLINE,
    ],
    "four viewing points": providers(),
    "any providers": [],
}


class Mirrored(Lifetime):
    """A lifetime that is played on the service and on the model."""

    def __post_init__(self) -> None:
        self.life = Mirror(self.providers)

    def play(self, start: int, steps: Sequence[tuple[Step, int]]) -> None:
        self.chance = Random(start)
        self._begin()
        for step, chosen in steps:
            self.chance = Random(chosen)
            self._take(step)


@pytest.mark.parametrize("among", AMONG)
@pytest.mark.parametrize("weights", [CALM, STORMY, UNREFUSED], ids=["calm", "stormy", "unrefused"])
@histories(suite=20, soak=1_000, at_once=20)
async def test_the_service_does_what_the_model_does(
    among: str, weights: dict[Step, int], chunk: str, count: int, figure: Figure
) -> None:
    async def play(start: int, steps: Sequence[tuple[Step, int]], story: list[str]) -> None:
        refusing = weights is not UNREFUSED
        providers = AMONG[among] or world(Random(start))
        Mirrored(providers, tell=story.append, refusing=refusing).play(start, steps)

    await play_fresh("model", among, len(weights), chunk, count=count, weights=weights, play=play)
    figure("histories against the model", count)


def test_a_service_that_a_rejection_made_draft_stays_off_if_its_term_is_over() -> None:
    life = Mirror([SATELLITE, ONLINE])
    film = Selection(provider="OTT", distributor="APP", service="OTTX")
    tomorrow = Instant(life.now + 86_400 * SECOND)
    life.perform(viewer(film, on("MAIN", "NEWS")))
    life.lease("OTT")
    life.reject("OTT")
    life.serve("ALUXSAT")
    moved = Replace(
        state=State.EFFECTIVE,
        type="DTH",
        holder=MARI,
        address=TALLINN,
        items=goods("MAIN", "2"),
        services=(on("MAIN", "SPORT"), film),
    )
    life.perform(moved)
    life.serve("OTT")
    life.perform(ChangeTerms((replace(film, term_end=tomorrow),)))
    life.wait(86_400)
    for provider in ("OTT", "ALUXSAT"):
        life.lease(provider)
        life.reject(provider)
    assert [each.state for each in life.desired.services] == [State.DRAFT, State.EFFECTIVE]
    life.perform(Deactivate())
    life.perform(Activate())
    assert [each.state for each in life.desired.services] == [State.NOT_EFFECTIVE, State.EFFECTIVE]


def test_a_request_is_made_anew_if_another_service_stands_for_its_entitlement() -> None:
    life = Mirror(providers())
    yearly = on("MAIN", "FILM_YEARLY")
    life.perform(viewer(yearly))
    life.serve("ALUXSAT")
    renamed = Replace(
        state=State.EFFECTIVE,
        type="DTH",
        holder=Account(name="Jaan"),
        address=TALLINN,
        items=goods("MAIN", "1"),
        services=(on("MAIN", "FILM"), yearly),
    )
    life.perform(renamed)
    life.perform(Deactivate())
    life.lease("ALUXSAT", most=1)
    life.reject("ALUXSAT")
    (left,) = life.queue("ALUXSAT")
    assert [each.service for each in (left.service, *left.services) if each] == ["FILM_YEARLY"]


def test_a_subscription_at_rest_stays_so_if_its_first_provider_rejects_it() -> None:
    life = Mirror(providers())
    film, tomorrow = on("MAIN", "FILM"), Instant(life.now + 86_400 * SECOND)
    life.perform(viewer(film))
    life.lease("ALUXSAT")
    life.reject("ALUXSAT")
    life.switch("ALUXSAT", effective=False)
    life.perform(
        Replace(
            state=State.IN_RESTING,
            until=tomorrow,
            type="DTH",
            holder=MARI,
            address=TALLINN,
            items=goods("MAIN", "1"),
            services=(film,),
        )
    )
    life.switch("ALUXSAT", effective=True)
    life.wait(86_400)
    life.perform(AddServices((online("MAIN", "SPORT"), on("TWIN1", "KIDS"))))
    for provider in ("OTT", "ALUXSAT"):
        life.lease(provider)
        life.reject(provider)
    assert life.desired.state is State.IN_RESTING
