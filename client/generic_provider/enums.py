"""The enumerations of the protos under short names: `RequestType.ACTIVATE_SERVICE`.

Members are the plain numbers of the generated messages, with their types.
"""

from __future__ import annotations

from typing import TypeAlias

from generic_provider.enumeration import Enumeration
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as resources
from generic_provider.v1 import subscription_service_pb2 as subscription


class ResponseStatus(Enumeration):
    """An adapter's answer to a request."""

    ValueType: TypeAlias = provisioning.ResponseStatus.ValueType
    ACCEPTED = provisioning.RESPONSE_STATUS_ACCEPTED
    REJECTED = provisioning.RESPONSE_STATUS_REJECTED
    RETRY_LATER = provisioning.RESPONSE_STATUS_RETRY_LATER


class ResponseCode(Enumeration):
    """The server's verdict on an answer. Only APPLIED changes the request."""

    ValueType: TypeAlias = provisioning.ResponseCode.ValueType
    APPLIED = provisioning.RESPONSE_CODE_APPLIED
    DUPLICATE = provisioning.RESPONSE_CODE_DUPLICATE
    STALE = provisioning.RESPONSE_CODE_STALE
    CONFLICT = provisioning.RESPONSE_CODE_CONFLICT
    OUT_OF_ORDER = provisioning.RESPONSE_CODE_OUT_OF_ORDER
    NOT_FOUND = provisioning.RESPONSE_CODE_NOT_FOUND
    INVALID = provisioning.RESPONSE_CODE_INVALID


class ProviderState(Enumeration):
    """Tells whether a provider gets requests."""

    ValueType: TypeAlias = resources.ProviderState.ValueType
    NOT_EFFECTIVE = resources.PROVIDER_STATE_NOT_EFFECTIVE
    EFFECTIVE = resources.PROVIDER_STATE_EFFECTIVE


class ServiceKind(Enumeration):
    """How a service is charged: by time, or by consumption."""

    ValueType: TypeAlias = resources.ServiceKind.ValueType
    TERMED = resources.SERVICE_KIND_TERMED
    USAGE = resources.SERVICE_KIND_USAGE


class RequestMethod(Enumeration):
    """The form in which the (de)activation of a whole subscription is sent to the platform."""

    ValueType: TypeAlias = resources.RequestMethod.ValueType
    PER_SERVICE = resources.REQUEST_METHOD_PER_SERVICE
    WHOLE_SUBSCRIPTION = resources.REQUEST_METHOD_WHOLE_SUBSCRIPTION


class SubscriptionState(Enumeration):
    """The state of a subscription. CANCELLED and REGRETTED are final; the other states are
    "live".
    """

    ValueType: TypeAlias = resources.SubscriptionState.ValueType
    DRAFT = resources.SUBSCRIPTION_STATE_DRAFT
    EFFECTIVE = resources.SUBSCRIPTION_STATE_EFFECTIVE
    NOT_EFFECTIVE = resources.SUBSCRIPTION_STATE_NOT_EFFECTIVE
    SHORT_TERM_EFFECTIVE = resources.SUBSCRIPTION_STATE_SHORT_TERM_EFFECTIVE
    SHORT_TERM_NOT_EFFECTIVE = resources.SUBSCRIPTION_STATE_SHORT_TERM_NOT_EFFECTIVE
    IN_RESTING = resources.SUBSCRIPTION_STATE_IN_RESTING
    CANCELLED = resources.SUBSCRIPTION_STATE_CANCELLED
    REGRETTED = resources.SUBSCRIPTION_STATE_REGRETTED


class ServiceState(Enumeration):
    """The state of a service on a subscription."""

    ValueType: TypeAlias = resources.ServiceState.ValueType
    DRAFT = resources.SERVICE_STATE_DRAFT
    EFFECTIVE = resources.SERVICE_STATE_EFFECTIVE
    NOT_EFFECTIVE = resources.SERVICE_STATE_NOT_EFFECTIVE
    SHORT_TERM_EFFECTIVE = resources.SERVICE_STATE_SHORT_TERM_EFFECTIVE
    SHORT_TERM_NOT_EFFECTIVE = resources.SERVICE_STATE_SHORT_TERM_NOT_EFFECTIVE
    IN_RESTING = resources.SERVICE_STATE_IN_RESTING
    CANCELLED = resources.SERVICE_STATE_CANCELLED
    REGRETTED = resources.SERVICE_STATE_REGRETTED
    SWAPPED = resources.SERVICE_STATE_SWAPPED
    REMOVED = resources.SERVICE_STATE_REMOVED


class SyncState(Enumeration):
    """Tells whether the platform holds what the CRM wants."""

    ValueType: TypeAlias = resources.SyncState.ValueType
    IN_SYNC = resources.SYNC_STATE_IN_SYNC
    PENDING = resources.SYNC_STATE_PENDING
    OUT_OF_SYNC = resources.SYNC_STATE_OUT_OF_SYNC


class RequestType(Enumeration):
    """The change that a provisioning request asks of the platform."""

    ValueType: TypeAlias = resources.RequestType.ValueType
    BECOME_SUBSCRIBER = resources.REQUEST_TYPE_BECOME_SUBSCRIBER
    ACTIVATE_SERVICE = resources.REQUEST_TYPE_ACTIVATE_SERVICE
    DEACTIVATE_SERVICE = resources.REQUEST_TYPE_DEACTIVATE_SERVICE
    ADD_INSTALLED_ITEM = resources.REQUEST_TYPE_ADD_INSTALLED_ITEM
    REMOVE_INSTALLED_ITEM = resources.REQUEST_TYPE_REMOVE_INSTALLED_ITEM
    ACTIVATE_SUBSCRIBER = resources.REQUEST_TYPE_ACTIVATE_SUBSCRIBER
    DEACTIVATE_SUBSCRIBER = resources.REQUEST_TYPE_DEACTIVATE_SUBSCRIBER
    UPDATE_SUBSCRIBER = resources.REQUEST_TYPE_UPDATE_SUBSCRIBER
    UPDATE_ADDRESS = resources.REQUEST_TYPE_UPDATE_ADDRESS
    ADD_UDR = resources.REQUEST_TYPE_ADD_UDR
    CANCEL_UDR = resources.REQUEST_TYPE_CANCEL_UDR


class RequestState(Enumeration):
    """The state of a provisioning request. Only a PENDING request can change its state."""

    ValueType: TypeAlias = resources.RequestState.ValueType
    PENDING = resources.REQUEST_STATE_PENDING
    COMPLETED = resources.REQUEST_STATE_COMPLETED
    REJECTED = resources.REQUEST_STATE_REJECTED
    CANCELLED = resources.REQUEST_STATE_CANCELLED
    EXPIRED = resources.REQUEST_STATE_EXPIRED


class RequestOrigin(Enumeration):
    """The cause of a provisioning request."""

    ValueType: TypeAlias = resources.RequestOrigin.ValueType
    ACTION = resources.REQUEST_ORIGIN_ACTION
    RESET = resources.REQUEST_ORIGIN_RESET
    ROLLBACK = resources.REQUEST_ORIGIN_ROLLBACK


class ArchiveState(Enumeration):
    """The progress of an archive."""

    ValueType: TypeAlias = requests.ArchiveState.ValueType
    CREATING = requests.ARCHIVE_STATE_CREATING
    COMPLETED = requests.ARCHIVE_STATE_COMPLETED
    FAILED = requests.ARCHIVE_STATE_FAILED
    DELETED = requests.ARCHIVE_STATE_DELETED


class WaitingFor(Enumeration):
    """The reason why a pending request waits."""

    ValueType: TypeAlias = resources.WaitingFor.ValueType
    ADAPTER = resources.WAITING_FOR_ADAPTER
    ANSWER = resources.WAITING_FOR_ANSWER
    RETRY = resources.WAITING_FOR_RETRY
    EARLIER_REQUEST = resources.WAITING_FOR_EARLIER_REQUEST
    PROVIDER = resources.WAITING_FOR_PROVIDER


class DifferenceKind(Enumeration):
    """The kind of a difference between the state that the CRM wants and the expected contents of a
    platform.
    """

    ValueType: TypeAlias = resources.DifferenceKind.ValueType
    SUBSCRIBER_MISSING = resources.DIFFERENCE_KIND_SUBSCRIBER_MISSING
    HOLDER = resources.DIFFERENCE_KIND_HOLDER
    ADDRESS = resources.DIFFERENCE_KIND_ADDRESS
    SERVICE_MISSING = resources.DIFFERENCE_KIND_SERVICE_MISSING
    SERVICE_SURPLUS = resources.DIFFERENCE_KIND_SERVICE_SURPLUS
    ITEM_MISSING = resources.DIFFERENCE_KIND_ITEM_MISSING
    ITEM_SURPLUS = resources.DIFFERENCE_KIND_ITEM_SURPLUS
    USAGE_MISSING = resources.DIFFERENCE_KIND_USAGE_MISSING
    USAGE_SURPLUS = resources.DIFFERENCE_KIND_USAGE_SURPLUS
    UNCERTAIN = resources.DIFFERENCE_KIND_UNCERTAIN


class ActionKind(Enumeration):
    """The kind of an action."""

    ValueType: TypeAlias = subscription.ActionKind.ValueType
    BECOME_SUBSCRIBER = subscription.ACTION_KIND_BECOME_SUBSCRIBER
    ACTIVATE = subscription.ACTION_KIND_ACTIVATE
    DEACTIVATE = subscription.ACTION_KIND_DEACTIVATE
    REST = subscription.ACTION_KIND_REST
    END_RESTING = subscription.ACTION_KIND_END_RESTING
    SHORT_TERM_ACTIVATE = subscription.ACTION_KIND_SHORT_TERM_ACTIVATE
    END_SHORT_TERM_ACTIVATION = subscription.ACTION_KIND_END_SHORT_TERM_ACTIVATION
    SHORT_TERM_DEACTIVATE = subscription.ACTION_KIND_SHORT_TERM_DEACTIVATE
    END_SHORT_TERM_DEACTIVATION = subscription.ACTION_KIND_END_SHORT_TERM_DEACTIVATION
    TERMINATE = subscription.ACTION_KIND_TERMINATE
    REGRET = subscription.ACTION_KIND_REGRET
    ADD_SERVICES = subscription.ACTION_KIND_ADD_SERVICES
    START_SERVICES = subscription.ACTION_KIND_START_SERVICES
    STOP_SERVICES = subscription.ACTION_KIND_STOP_SERVICES
    REMOVE_SERVICES = subscription.ACTION_KIND_REMOVE_SERVICES
    CHANGE_TERMS = subscription.ACTION_KIND_CHANGE_TERMS
    SWAP_SERVICE = subscription.ACTION_KIND_SWAP_SERVICE
    ADD_ITEMS = subscription.ACTION_KIND_ADD_ITEMS
    REMOVE_ITEMS = subscription.ACTION_KIND_REMOVE_ITEMS
    SWAP_ITEM = subscription.ACTION_KIND_SWAP_ITEM
    CHANGE_DISTRIBUTION = subscription.ACTION_KIND_CHANGE_DISTRIBUTION
    CHANGE_LOCATION = subscription.ACTION_KIND_CHANGE_LOCATION
    CHANGE_SUBSCRIBER = subscription.ACTION_KIND_CHANGE_SUBSCRIBER
    ADD_USAGE = subscription.ACTION_KIND_ADD_USAGE
    CANCEL_USAGE = subscription.ACTION_KIND_CANCEL_USAGE
    REPLACE = subscription.ACTION_KIND_REPLACE


class ActionState(Enumeration):
    """The state of an action."""

    ValueType: TypeAlias = subscription.ActionState.ValueType
    SCHEDULED = subscription.ACTION_STATE_SCHEDULED
    EXECUTED = subscription.ACTION_STATE_EXECUTED
    SETTLED = subscription.ACTION_STATE_SETTLED
    PARTLY_REJECTED = subscription.ACTION_STATE_PARTLY_REJECTED
    REJECTED = subscription.ACTION_STATE_REJECTED
    CANCELLED = subscription.ACTION_STATE_CANCELLED


class ActionOrigin(Enumeration):
    """The cause of an action."""

    ValueType: TypeAlias = subscription.ActionOrigin.ValueType
    CALLER = subscription.ACTION_ORIGIN_CALLER
    AUTOMATIC_END = subscription.ACTION_ORIGIN_AUTOMATIC_END


class EventKind(Enumeration):
    """The kind of an event. For each kind, the oneof `change` has a field with the same name."""

    ValueType: TypeAlias = subscription.EventKind.ValueType
    ACTION_EXECUTED = subscription.EVENT_KIND_ACTION_EXECUTED
    ACTION_SETTLED = subscription.EVENT_KIND_ACTION_SETTLED
    REQUEST_CREATED = subscription.EVENT_KIND_REQUEST_CREATED
    REQUEST_SETTLED = subscription.EVENT_KIND_REQUEST_SETTLED
    SUBSCRIPTION_ROLLED_BACK = subscription.EVENT_KIND_SUBSCRIPTION_ROLLED_BACK
    SYNC_STATE_CHANGED = subscription.EVENT_KIND_SYNC_STATE_CHANGED
    RESET_RUN_HELD = subscription.EVENT_KIND_RESET_RUN_HELD
    RESET_RUN_FINISHED = subscription.EVENT_KIND_RESET_RUN_FINISHED
    PROVIDER_STATE_CHANGED = subscription.EVENT_KIND_PROVIDER_STATE_CHANGED


class Priority(Enumeration):
    """Tells whether requests are handed over as live or as bulk work."""

    ValueType: TypeAlias = subscription.Priority.ValueType
    LIVE = subscription.PRIORITY_LIVE
    BULK = subscription.PRIORITY_BULK


class ResetRunDefinitionState(Enumeration):
    """Tells whether runs of a definition may begin."""

    ValueType: TypeAlias = resets.ResetRunDefinitionState.ValueType
    EFFECTIVE = resets.RESET_RUN_DEFINITION_STATE_EFFECTIVE
    NOT_EFFECTIVE = resets.RESET_RUN_DEFINITION_STATE_NOT_EFFECTIVE


class ResetRunState(Enumeration):
    """The state of a reset run. A run that is HELD or RUNNING can still change its state; the other
    states are final.
    """

    ValueType: TypeAlias = resets.ResetRunState.ValueType
    HELD = resets.RESET_RUN_STATE_HELD
    RUNNING = resets.RESET_RUN_STATE_RUNNING
    COMPLETED = resets.RESET_RUN_STATE_COMPLETED
    COMPLETED_WITH_ERRORS = resets.RESET_RUN_STATE_COMPLETED_WITH_ERRORS
    FAILED = resets.RESET_RUN_STATE_FAILED
    CANCELLED = resets.RESET_RUN_STATE_CANCELLED


class EntryOutcome(Enumeration):
    """The outcome for a subscription in a reset run."""

    ValueType: TypeAlias = resets.EntryOutcome.ValueType
    PLANNED = resets.ENTRY_OUTCOME_PLANNED
    REQUESTS_CREATED = resets.ENTRY_OUTCOME_REQUESTS_CREATED
    SKIPPED = resets.ENTRY_OUTCOME_SKIPPED
    FAILED = resets.ENTRY_OUTCOME_FAILED
    SUPERSEDED = resets.ENTRY_OUTCOME_SUPERSEDED
    CHANGED_SINCE_PREVIEW = resets.ENTRY_OUTCOME_CHANGED_SINCE_PREVIEW
