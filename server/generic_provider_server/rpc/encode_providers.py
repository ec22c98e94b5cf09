"""Encodes providers."""

from __future__ import annotations

from generic_provider.v1 import resources_pb2 as pb

from ..domain.subscription.records import ProviderRecord
from ..domain.values import Distributor, Service
from .encode_parts import duration, timestamp


def provider(record: ProviderRecord) -> pb.Provider:
    found = record.provider
    settings, delivery = found.request_settings, found.delivery_settings
    return pb.Provider(
        code=found.code,
        display_name=found.display_name,
        state=pb.ProviderState.ValueType(found.state),
        distributors=[_distributor(each) for each in found.distributors],
        services=[_service(each) for each in found.services],
        goods=[
            pb.GoodsMapping(
                goods_type=each.goods_type, provider_goods_type=each.provider_goods_type
            )
            for each in found.goods
        ],
        request_settings=pb.RequestSettings(
            activation_method=pb.RequestMethod.ValueType(settings.activation_method),
            deactivation_method=pb.RequestMethod.ValueType(settings.deactivation_method),
            term_end_on_platform=settings.term_end_on_platform,
        ),
        delivery_settings=pb.DeliverySettings(
            pending_window=duration(delivery.pending_window),
            max_delivery_attempts=delivery.max_delivery_attempts,
            max_lease_time=duration(delivery.max_lease_time),
        ),
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        etag=str(record.etag),
        performed_by=record.who.performed_by,
        caller=record.who.caller,
    )


def _distributor(each: Distributor) -> pb.Distributor:
    return pb.Distributor(
        code=each.code,
        display_name=each.display_name,
        required_distributor=each.required_distributor,
        allowed_services=each.allowed_services,
        required_goods_types=each.required_goods_types,
        max_services=each.max_services,
    )


def _service(each: Service) -> pb.Service:
    return pb.Service(
        code=each.code,
        display_name=each.display_name,
        provider_service_id=each.provider_service_id,
        kind=pb.ServiceKind.ValueType(each.kind),
        required_service=each.required_service,
        parameters=each.parameters or None,
    )
