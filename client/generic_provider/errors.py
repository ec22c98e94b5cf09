"""The exceptions of calls: one class for each reason, grouped by gRPC status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc

from generic_provider.v1.errors_pb2 import FieldViolation


class ProvisioningError(Exception):
    """A call, or an item of a batch, was refused or failed.

    This class itself is raised only if neither the reason nor the status has a class of its own.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        """The name of an ErrorReason without its prefix; empty if the server gave no reason."""
        self.metadata = dict(metadata or {})
        """The objects and values that caused the refusal, by name: for example `provider`, with the
        code of the provider.
        """
        self.code = code
        self.violations = tuple(violations)
        """The first ten wrong fields, for INVALID_FIELD."""


class InvalidArgument(ProvisioningError):
    """The input is wrong in itself, independent of the stored state."""


class InvalidField(InvalidArgument):
    """A field is wrong. The violations name the wrong fields (at most ten)."""


class NotFound(ProvisioningError):
    """An object that the call names does not exist. The metadata names the object."""


class ProviderNotFound(NotFound):
    pass


class DistributorNotFound(NotFound):
    pass


class ServiceNotFound(NotFound):
    pass


class SubscriptionNotFound(NotFound):
    pass


class ItemNotFound(NotFound):
    pass


class UsageNotFound(NotFound):
    pass


class ActionNotFound(NotFound):
    pass


class RequestNotFound(NotFound):
    """The request does not exist.

    If the request was archived, the metadata has `archive`; and also `deleted`, if the file of that
    archive was deleted.
    """


class ArchiveNotFound(NotFound):
    """The archive does not exist, or it has no readable file.

    In the second case the metadata has `state`, the state of the archive.
    """


class ResetRunDefinitionNotFound(NotFound):
    pass


class ResetRunNotFound(NotFound):
    pass


class AlreadyExists(ProvisioningError):
    pass


class ProviderExists(AlreadyExists):
    pass


class SubscriptionExists(AlreadyExists):
    pass


class RequestIdReused(AlreadyExists):
    """The `request_id` was already used for a call with other contents."""


class FailedPrecondition(ProvisioningError):
    """The current state does not allow the call."""


class ActionNotAllowed(FailedPrecondition):
    """The state of the subscription or service does not allow the action.

    The metadata has `state`, which is the state of the subscription or of the service, and
    `action`, the kind of the action.
    """


class ActionNotScheduled(FailedPrecondition):
    """The action is not scheduled, so it cannot be cancelled.

    The metadata has `action`, the id of the action, and `state`, its state.
    """


class RequiredDistributorMissing(FailedPrecondition):
    """The action would leave a distributor in use without the distributor that it requires."""


class RequiredServiceMissing(FailedPrecondition):
    """The action would leave a service on without the service that it requires."""


class ServiceNotAvailable(FailedPrecondition):
    """The distributor does not offer the service."""


class ServiceLimitExceeded(FailedPrecondition):
    """The action would give the distributor more services than its max_services."""


class GoodsTypeNotMapped(FailedPrecondition):
    """The provider has no mapping for the goods type."""


class DistributorOccupied(FailedPrecondition):
    """The distributor already has an item of that goods type."""


class ItemInUse(FailedPrecondition):
    """The item is on another subscription, its removal from that subscription is not settled, or it
    is already on a distributor of the same provider.

    The metadata has `subscription`, the subscription that the item belongs to; and also `request`,
    the number of the request that removes the item, while this request is pending.
    """


class ProviderNotEffective(FailedPrecondition):
    pass


class ProviderIncomplete(FailedPrecondition):
    """An effective provider needs at least one distributor and one service."""


class ProviderInUse(FailedPrecondition):
    """Subscriptions use the part of the provider that the call would change. The metadata has
    `thing`, which names the part, and `count`, the number of subscriptions.
    """


class RequestNotPending(FailedPrecondition):
    """The request already has a final state. The metadata has `state`."""


class RequestLeased(FailedPrecondition):
    """An adapter has the request on a live lease. The metadata has `adapter`."""


class RequestNotFirst(FailedPrecondition):
    """An earlier request of the subscription must be resolved first. The metadata has `first`, the
    number of that request.
    """


class ReportIncomplete(FailedPrecondition):
    """More subscriptions than `max_missing_percent` allows would count as missing, because a
    complete report does not name them. The entries of the report were applied.

    The metadata has `linked`, the number of subscriptions that are linked to the provider; `most`,
    the greatest number of these that may be missing; and `missing`: at least this number is
    missing. For the entries that were applied, the metadata has the numbers `received`,
    `unchanged`, `changed`, `skipped` and `unknown_subscriptions`, as in the response to a report.
    """


class TooManyUnsettled(FailedPrecondition):
    """The subscription has 500 unsettled actions, 5,000 pending requests or 200 scheduled actions.

    The metadata has `subscription`, and the numbers of actions and requests: `scheduled` if there
    are too many scheduled actions, otherwise `unsettled` and `pending`.
    """


class RunNotEditable(FailedPrecondition):
    """A run of the definition has begun, so the definition cannot be deleted."""


class RunNotEffective(FailedPrecondition):
    """The definition is NOT_EFFECTIVE."""


class RunInProgress(FailedPrecondition):
    """Another run of the definition has not ended. The metadata has `reset_run`."""


class RunNotHeld(FailedPrecondition):
    """The run is not HELD, so it cannot be approved. The metadata has `state`."""


class ChecksumMismatch(FailedPrecondition):
    """The call does not name the checksum of the archive, or the archive has no file yet, or the
    file was altered.
    """


class ArchiveFolderNotWritable(FailedPrecondition):
    """The server has no folder for archives in which it can write."""


class Aborted(ProvisioningError):
    """Another caller has changed the object since you read it. Read the object again, and decide
    again.
    """


class EtagMismatch(Aborted):
    pass


class RevisionMismatch(Aborted):
    pass


class OutOfRange(ProvisioningError):
    pass


class CursorTooOld(OutOfRange):
    """Events after the cursor were removed, because they were too old.

    Begin again with the oldest stored event, and read all objects again to refresh your copies.
    """


class CursorUnknown(OutOfRange):
    """The cursor was given by another database, or a backup of the database was restored after the
    cursor was given.
    """


class ResourceExhausted(ProvisioningError):
    pass


class TooManyStreams(ResourceExhausted):
    pass


class TooManyCalls(ResourceExhausted):
    """The server had too many other calls until the deadline, and has not processed this call."""


class Unauthenticated(ProvisioningError):
    """The server does not know the token or the client certificate, or the call had neither."""


class PermissionDenied(ProvisioningError):
    """The caller's roles do not allow the call, or the call would approve a reset run that the
    same caller has submitted. The metadata has `caller`; and `rpc` in the first case, `reset_run`
    in the second.

    If the caller may make the call only for other providers, the metadata has `provider` too.
    """


class ServerUnavailable(ProvisioningError):
    """The server was not reached before the deadline, or the connection to it broke.

    Nobody knows whether the call was processed. A repeat with the same `request_id` is safe.
    """


class Draining(ServerUnavailable):
    """This server process is shutting down."""


class StoreUnavailable(ServerUnavailable):
    """The server cannot reach its database, and nobody knows whether the change was committed."""


class DeadlineExceeded(ProvisioningError):
    """No answer arrived before the deadline.

    Nobody knows whether the call was processed. A repeat with the same `request_id` is safe.
    """


class Internal(ProvisioningError):
    """The service has a fault. The message contains an id, under which the log of the service
    describes the fault.
    """
