"""Decodes the providers in the messages of callers."""

from __future__ import annotations

from generic_provider.v1 import resources_pb2 as pb

from ..domain.values import (
    DeliverySettings,
    Distributor,
    GoodsMapping,
    Provider,
    RequestMethod,
    RequestSettings,
    Service,
    ServiceKind,
)
from .checks import CODE, NAME, Checks

MOST_DISTRIBUTORS = 1_000
MOST_SERVICES = 5_000
MOST_BYTES = 1024 * 1024
HOUR = 3_600


def provider_of(checks: Checks, message: pb.Provider) -> Provider:
    checks.count("provider.distributors", message.distributors, most=MOST_DISTRIBUTORS)
    checks.count("provider.services", message.services, most=MOST_SERVICES)
    checks.count("provider.goods", message.goods, most=MOST_DISTRIBUTORS)
    if not checks.size("provider", message.ByteSize(), most=MOST_BYTES):
        checks.done()
    return Provider(
        code=checks.code("provider.code", message.code),
        display_name=checks.text("provider.display_name", message.display_name, most=NAME),
        distributors=checks.each("provider.distributors", message.distributors, _distributor),
        services=checks.each("provider.services", message.services, _service),
        goods=checks.each("provider.goods", message.goods, _goods),
        request_settings=_request_settings(checks, message.request_settings),
        delivery_settings=_delivery_settings(checks, message.delivery_settings),
    )


def _distributor(checks: Checks, field: str, message: pb.Distributor) -> Distributor:
    allowed, goods = message.allowed_services, message.required_goods_types
    return Distributor(
        code=checks.code(f"{field}.code", message.code),
        display_name=checks.text(f"{field}.display_name", message.display_name, most=NAME),
        required_distributor=checks.text(
            f"{field}.required_distributor", message.required_distributor
        ),
        allowed_services=checks.each(f"{field}.allowed_services", allowed, Checks.code),
        required_goods_types=checks.each(f"{field}.required_goods_types", goods, Checks.code),
        max_services=message.max_services if message.HasField("max_services") else None,
    )


def _service(checks: Checks, field: str, message: pb.Service) -> Service:
    return Service(
        code=checks.code(f"{field}.code", message.code),
        display_name=checks.text(f"{field}.display_name", message.display_name, most=NAME),
        provider_service_id=checks.code(
            f"{field}.provider_service_id", message.provider_service_id
        ),
        kind=checks.enum(f"{field}.kind", message.kind, default=ServiceKind.TERMED),
        required_service=checks.text(f"{field}.required_service", message.required_service),
        parameters=checks.parameters(f"{field}.parameters", message.parameters),
    )


def _goods(checks: Checks, field: str, message: pb.GoodsMapping) -> GoodsMapping:
    return GoodsMapping(
        checks.code(f"{field}.goods_type", message.goods_type),
        checks.code(f"{field}.provider_goods_type", message.provider_goods_type),
    )


def _request_settings(checks: Checks, message: pb.RequestSettings) -> RequestSettings:
    def method(name: str, value: int) -> RequestMethod:
        field = f"provider.request_settings.{name}"
        return checks.enum(field, value, default=RequestMethod.PER_SERVICE)

    return RequestSettings(
        activation_method=method("activation_method", message.activation_method),
        deactivation_method=method("deactivation_method", message.deactivation_method),
        term_end_on_platform=message.term_end_on_platform,
    )


def _delivery_settings(checks: Checks, message: pb.DeliverySettings) -> DeliverySettings:
    field, default = "provider.delivery_settings", DeliverySettings()
    window = checks.span(
        f"{field}.pending_window", message, least=48 * HOUR, most=10 * 365 * 24 * HOUR
    )
    lease = checks.span(f"{field}.max_lease_time", message, least=1, most=24 * HOUR)
    attempts = message.max_delivery_attempts
    return DeliverySettings(
        pending_window=default.pending_window if window is None else window,
        max_delivery_attempts=checks.number(
            f"{field}.max_delivery_attempts", attempts, least=0, most=1_000_000
        ),
        max_lease_time=default.max_lease_time if lease is None else lease,
    )


def etag_of(checks: Checks, field: str, etag: str) -> int | None:
    """Returns the number in the etag, or None if the caller gave no etag.

    For a text that cannot be an etag, returns 0, which differs from every stored etag.
    """
    checks.text(field, etag, most=CODE)
    if not etag:
        return None
    return int(etag) if etag.isascii() and etag.isdigit() and len(etag) < CODE / 4 else 0
