"""Defines the providers of the histories that are played on a store."""

from __future__ import annotations

from msgspec.structs import replace

from generic_provider_server.domain.values import (
    SECOND,
    DeliverySettings,
    Provider,
    Service,
    ServiceKind,
)
from support.catalogues import aluxsat, ott


def two_providers() -> list[Provider]:
    """Returns two providers with usage services. The first provider rejects a request after three
    attempts, the second after five. Pending requests of the first provider expire after two days,
    those of the second after seven.
    """
    rent = Service(code="RENT", provider_service_id="R", kind=ServiceKind.USAGE)
    return [
        replace(
            provider,
            services=(*provider.services, rent),
            delivery_settings=DeliverySettings(
                max_delivery_attempts=attempts,
                max_lease_time=3_600 * SECOND + SECOND // 4,
                pending_window=hours * 3_600 * SECOND,
            ),
        )
        for provider, attempts, hours in ((aluxsat(), 3, 48), (ott(), 5, 168))
    ]
