"""Makes random providers, so that histories meet every setting and every kind of viewing point."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from generic_provider_server.domain.values import (
    SECOND,
    DeliverySettings,
    Distributor,
    GoodsMapping,
    Provider,
    ProviderState,
    RequestMethod,
    RequestSettings,
    Service,
    ServiceKind,
)

TYPES = ("SMARTCARD", "DECODER", "MODEM")
TERMED = ("NEWS", "SPORT", "FILM", "KIDS")
USAGE = ("RENT", "VOD")
WINDOWS = tuple([hours * 3_600 * SECOND for hours in (48, 50, 168, 1_000)])


def world(chance: Random) -> list[Provider]:
    """Returns one to three providers. The first provider has goods."""
    codes = ("OTT", "WEB")[: chance.choice((0, 1, 1, 2))]
    first = _provider("ALUXSAT", chance, goods=chance.randint(1, 3))
    return [first, *[_provider(code, chance, goods=chance.randint(0, 3)) for code in codes]]


def _provider(code: str, chance: Random, *, goods: int) -> Provider:
    types = chance.sample(TYPES, goods)
    methods = chance.choices(list(RequestMethod), k=2)
    return Provider(
        code=code,
        state=ProviderState.EFFECTIVE,
        distributors=tuple(_distributors(types, chance)),
        services=(
            *[Service(code=each, provider_service_id=_shared(each, chance)) for each in TERMED],
            *[_usage(each, chance) for each in USAGE],
        ),
        goods=tuple([GoodsMapping(each, f"{code} {each}") for each in types]),
        request_settings=RequestSettings(
            activation_method=methods[0],
            deactivation_method=methods[1],
            term_end_on_platform=chance.random() < 0.5,
        ),
        delivery_settings=DeliverySettings(
            max_delivery_attempts=chance.randint(0, 3), pending_window=chance.choice(WINDOWS)
        ),
    )


def widened(provider: Provider, chance: Random) -> Provider:
    """Returns the provider with a change that is allowed while subscriptions use the provider."""
    count = len(provider.distributors) + len(provider.services)
    types = [mapping.goods_type for mapping in provider.goods]
    match chance.choice(("distributor", "service", "offer", "limits", "order", "attempts")):
        case "distributor":
            required = chance.choice(("", *[each.code for each in provider.distributors]))
            goods = tuple(chance.sample(types, chance.randint(0, len(types))))
            new = Distributor(
                code=f"ROOM{count}", required_distributor=required, required_goods_types=goods
            )
            return replace(provider, distributors=(new, *provider.distributors))
        case "service":
            termed = [each for each in provider.services if each.kind is ServiceKind.TERMED]
            plan = chance.choice(termed).provider_service_id
            code = f"{chance.choice('AZ')}{count}"
            service = Service(code=code, provider_service_id=chance.choice((plan, code)))
            return replace(provider, services=(*provider.services, service))
        case "offer":
            offering = [replace(each, allowed_services=()) for each in provider.distributors]
            return replace(provider, distributors=tuple(offering))
        case "limits":
            unlimited = [replace(each, max_services=None) for each in provider.distributors]
            return replace(provider, distributors=tuple(unlimited))
        case "order":
            return replace(provider, distributors=provider.distributors[::-1])
        case _:
            attempts = chance.randint(0, 3)
            settings = replace(provider.delivery_settings, max_delivery_attempts=attempts)
            return replace(provider, delivery_settings=settings)


def _distributors(types: list[str], chance: Random) -> list[Distributor]:
    made: list[Distributor] = []
    for code in ("MAIN", "TWIN", "ROOM")[: chance.randint(1, 3)]:
        required = chance.choice(["", *[each.code for each in made]])
        made.append(
            Distributor(
                code=code,
                required_distributor=required,
                required_goods_types=tuple(chance.sample(types, chance.randint(0, len(types)))),
                allowed_services=TERMED[:2] + USAGE[:1] if made and chance.random() < 0.3 else (),
                max_services=chance.choice((None, None, 2, 3)),
            )
        )
    return made


def _shared(code: str, chance: Random) -> str:
    """Returns a platform id for the service. Several services may have the same id."""
    return chance.choice((code, "BASIC", "PLUS"))


def _usage(code: str, chance: Random) -> Service:
    required = chance.choice(("", *TERMED))
    return Service(
        code=code, provider_service_id=code, kind=ServiceKind.USAGE, required_service=required
    )
