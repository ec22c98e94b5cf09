from __future__ import annotations

import pytest

from generic_provider_server.options import DESCRIBED

NUMBERS = [name for name, setting in DESCRIBED.items() if setting.plain in (int, float)]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_wrong_number_is_refused_with_the_least_and_the_greatest_value(name: str) -> None:
    _, within, limits = DESCRIBED[name].wanted.partition(" from ")
    least, _, most = limits.partition(" to ")
    assert within
    assert float(least) < float(most)
