from __future__ import annotations

from functools import reduce

import pytest

from generic_provider_server.domain.actions import AddItems, Replace, SwapItem, Terminate
from generic_provider_server.domain.platform.request_effects import effect, effects
from generic_provider_server.domain.values import State
from support.subscribers import MARI, TALLINN, goods, on, served, viewer


@pytest.mark.parametrize("length", [0, 1, 2, 5, 10, 100])
def test_the_effects_of_many_requests_are_those_of_each_in_turn(length: int) -> None:
    life = served(viewer(on("MAIN", "SPORT"), on("MAIN", "NEWS")))
    held = life.link("ALUXSAT").confirmed
    life.perform(AddItems(goods("TWIN1", "2")))
    life.perform(SwapItem(old_serial_number="1", goods_type="DECODER", new_serial_number="9"))
    life.perform(
        Replace(
            state=State.EFFECTIVE,
            type="BAR",
            holder=MARI,
            address=TALLINN,
            items=goods("MAIN", "1"),
            services=(on("MAIN", "FILM"), on("MAIN", "SPORT")),
        )
    )
    life.perform(Terminate())
    requests = life.queue("ALUXSAT")[:length]

    assert effects(held, requests) == reduce(effect, requests, held)
