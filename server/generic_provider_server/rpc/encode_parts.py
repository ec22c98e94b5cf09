"""Encodes the parts that several messages have: times, holders, addresses, items, usage records."""

from __future__ import annotations

from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import resources_pb2 as pb

from ..domain.catalogue import Catalogues
from ..domain.values import SECOND, Account, Address, Instant, Item, SubscribedService, Usage


def timestamp(instant: Instant | None) -> Timestamp | None:
    return None if instant is None else time_of(instant)


@lru_cache(1_000)
def time_of(instant: Instant) -> Timestamp:
    """Returns the Timestamp of an instant. Copy the result into messages, and never change it: the
    result is cached, because many messages of a transaction have the same time.
    """
    return Timestamp(seconds=instant // SECOND, nanos=instant % SECOND * 1_000)


@lru_cache(1_000)
def duration(span: int | None) -> Duration | None:
    if span is None:
        return None
    return Duration(seconds=span // SECOND, nanos=span % SECOND * 1_000)


def account(holder: Account, into: pb.Account) -> None:
    into.number = holder.number
    into.name = holder.name
    if holder.email:
        into.email = holder.email
    if holder.phone:
        into.phone = holder.phone
    if holder.parameters:
        into.parameters.update(holder.parameters)


def address(place: Address, into: pb.Address) -> None:
    into.city = place.city
    if place.lines:
        into.lines.extend(place.lines)
    if place.postal_code:
        into.postal_code = place.postal_code
    if place.country:
        into.country = place.country
    if place.parameters:
        into.parameters.update(place.parameters)


def item(each: Item, catalogues: Catalogues, into: pb.InstalledItem) -> None:
    into.provider = each.provider
    into.distributor = each.distributor
    into.serial_number = each.serial_number
    into.goods_type = each.goods_type
    into.provider_goods_type = catalogues[each.provider].goods.get(each.goods_type, "")
    if each.parameters:
        into.parameters.update(each.parameters)


def subscribed_service(each: SubscribedService, into: pb.SubscribedService) -> None:
    into.provider = each.provider
    into.distributor = each.distributor
    into.service = each.service
    into.state = pb.ServiceState.ValueType(each.state)
    if each.term_end is not None:
        into.term_end.CopyFrom(time_of(each.term_end))


def usage(each: Usage, into: pb.Usage) -> None:
    into.reference = each.reference
    into.provider = each.provider
    into.distributor = each.distributor
    into.service = each.service
    into.quantity = each.quantity
    into.start_time.CopyFrom(time_of(each.start_time))
    into.end_time.CopyFrom(time_of(each.end_time))
    into.create_time.CopyFrom(time_of(each.create_time))
    if each.parameters:
        into.parameters.update(each.parameters)
