"""Tests that the work to check a provider grows linearly with the size of the provider, not with
the square of the size.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.providers import changed_things
from generic_provider_server.domain.catalogue import Catalogue, check_provider
from generic_provider_server.domain.refusals import InvalidField
from generic_provider_server.domain.values import Distributor, Provider, Service
from support.examples import SATELLITE

MANY = 300


class Counted(str):
    """A code that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other) is True

    def __hash__(self) -> int:
        return str.__hash__(self)


@pytest.fixture(autouse=True)
def _from_zero() -> None:
    Counted.compared = 0


def chain(*, closed: bool = False) -> Provider:
    """Returns a provider on which each distributor requires the distributor with the previous
    number. The distributor with the greatest number is the first in the list. If `closed`, the
    distributors require each other in a cycle.
    """
    distributors = [
        Distributor(
            code=Counted(f"D{n}"),
            required_distributor=Counted(f"D{n - 1}" if n else f"D{MANY - 1}" * closed),
        )
        for n in reversed(range(MANY))
    ]
    return replace(SATELLITE, distributors=tuple(distributors), services=())


def test_a_long_chain_of_distributors_is_followed_once() -> None:
    provider = chain()
    check_provider(provider)
    catalogue = Catalogue(provider)

    assert (catalogue.depths["D0"], catalogue.depths[f"D{MANY - 1}"]) == (0, MANY - 1)
    assert Counted.compared < 30 * MANY


def test_a_long_cycle_is_named_in_a_short_text() -> None:
    with pytest.raises(InvalidField) as wrong:
        check_provider(chain(closed=True))

    assert max(len(text) for _, text in wrong.value.violations) < 1_000


def test_narrowed_services_are_found_without_comparing_each_with_each() -> None:
    codes = [Counted(f"S{n}") for n in range(MANY)]
    services = tuple([Service(code=code, provider_service_id=code) for code in codes])
    former = replace(SATELLITE, distributors=(Distributor(code="MAIN"),), services=services)
    allowed = tuple([Counted(code) for code in codes[1:]])
    narrow = Distributor(code="MAIN", allowed_services=allowed)
    found = list(changed_things(former, replace(former, distributors=(narrow,))))

    assert found == [("d:MAIN/s:S0", "service S0 on distributor MAIN", "removed")]
    assert Counted.compared < 30 * MANY
