"""Lists every service of the protos with its servicer."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.descriptor import ServiceDescriptor

from generic_provider.v1 import (
    provider_service_pb2,
    provisioning_service_pb2,
    request_service_pb2,
    reset_service_pb2,
    subscription_service_pb2,
)

from ..services.action_waits import ActionWaits
from ..services.delivery import Delivery
from ..services.presence import Presence
from ..services.resetting import Resetting
from ..services.watching import Watching
from ..store.archives.folder import ArchiveFolder
from ..store.store import Store
from .provider_service import ProviderServicer
from .provisioning_service import ProvisioningServicer
from .request_service import RequestServicer
from .reset_service import ResetServicer
from .subscription_service import SubscriptionServicer

PROVIDER = provider_service_pb2.DESCRIPTOR.services_by_name["ProviderService"]
SUBSCRIPTION = subscription_service_pb2.DESCRIPTOR.services_by_name["SubscriptionService"]
PROVISIONING = provisioning_service_pb2.DESCRIPTOR.services_by_name["ProvisioningService"]
REQUEST = request_service_pb2.DESCRIPTOR.services_by_name["RequestService"]
RESET = reset_service_pb2.DESCRIPTOR.services_by_name["ResetService"]
SERVICES = (PROVIDER, SUBSCRIPTION, PROVISIONING, REQUEST, RESET)


class Services(NamedTuple):
    """The objects with which the servicers answer the calls."""

    store: Store
    delivery: Delivery
    waits: ActionWaits
    presence: Presence
    watching: Watching
    resetting: Resetting
    folder: ArchiveFolder


def servicers(services: Services) -> tuple[tuple[ServiceDescriptor, object], ...]:
    store = services.store
    return (
        (PROVIDER, ProviderServicer(store)),
        (SUBSCRIPTION, SubscriptionServicer(store, services.waits, services.watching)),
        (PROVISIONING, ProvisioningServicer(store, services.delivery)),
        (REQUEST, RequestServicer(store, services.presence, services.folder)),
        (RESET, ResetServicer(store, services.resetting)),
    )
