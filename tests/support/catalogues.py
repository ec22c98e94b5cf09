"""Defines the two providers that the tests use. Both are effective."""

from __future__ import annotations

from generic_provider_server.domain.values import (
    Distributor,
    GoodsMapping,
    Provider,
    ProviderState,
    RequestMethod,
    RequestSettings,
    Service,
    ServiceKind,
)

GOODS = ("SMARTCARD", "DECODER")


def aluxsat() -> Provider:
    """Returns a provider with four viewing points, which all need a card and a box. Each viewing
    point requires the previous viewing point. FILM and FILM_YEARLY are two plans of one package.
    """
    return Provider(
        code="ALUXSAT",
        display_name="Aluxsat Co.",
        state=ProviderState.EFFECTIVE,
        distributors=(
            Distributor(code="MAIN", required_goods_types=GOODS),
            Distributor(code="TWIN1", required_distributor="MAIN", required_goods_types=GOODS),
            Distributor(code="TWIN2", required_distributor="TWIN1", required_goods_types=GOODS),
            Distributor(code="TWIN3", required_distributor="TWIN2", required_goods_types=GOODS),
        ),
        services=(
            Service(code="SPORT", provider_service_id="1001"),
            Service(code="NEWS", provider_service_id="1002"),
            Service(code="FILM", provider_service_id="1003"),
            Service(code="FILM_YEARLY", provider_service_id="1003"),
            Service(code="KIDS", provider_service_id="1004"),
            Service(
                code="VOD",
                provider_service_id="2001",
                kind=ServiceKind.USAGE,
                required_service="FILM",
            ),
        ),
        goods=(GoodsMapping("SMARTCARD", "CARD"), GoodsMapping("DECODER", "STB")),
    )


def ott() -> Provider:
    """Returns a provider without goods. It gets one request to activate or deactivate all services
    of a subscription, and its platform gets the term ends.
    """
    return Provider(
        code="OTT",
        state=ProviderState.EFFECTIVE,
        distributors=(Distributor(code="MAIN"), Distributor(code="MOBILE")),
        services=(
            Service(code="SPORT", provider_service_id="S"),
            Service(code="MOVIES", provider_service_id="M"),
        ),
        request_settings=RequestSettings(
            activation_method=RequestMethod.WHOLE_SUBSCRIPTION,
            deactivation_method=RequestMethod.WHOLE_SUBSCRIPTION,
            term_end_on_platform=True,
        ),
    )
