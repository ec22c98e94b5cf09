"""Describes a call while it runs: the RPC, the caller, and how its messages are decoded."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from ..domain.refusals import InvalidField
from ..domain.subscription.records import Who
from ..services.auditing import Auditing
from .access import ALLOWED, Admitted, Context, Identity, Role, certificate_of
from .audited_calls import RECORDED_IF_REFUSED, CallAudit
from .checks import CALLERS_ID, Checks


class IncomingCall:
    """A call, with the identity of its caller.

    `admitted` is None if every caller may make every call. `request`: the message, or the first
    message of a stream; None until it is decoded. `first_write`: set when the first message of the
    response stream, or the initial metadata of a report, is written; None until the server writes
    it.
    """

    def __init__(self, rpc: Rpc, context: Context, *, auditing: Auditing, secure: bool) -> None:
        self.rpc = rpc
        self.context = context
        self.admitted: Admitted | None = None
        self.request: Message | None = None
        self.first_write: asyncio.Event | None = None
        self._secure = secure
        self._auditing = auditing
        self._began = auditing.now()
        self._recorded = False

    @cached_property
    def audit(self) -> CallAudit:
        """The object that records the call in the audit trail. Use this object only after the
        attempt to decode the message, because the first use reads the message.
        """
        return CallAudit(
            self._auditing,
            self.rpc.name,
            self.identity,
            request=self.request,
            began=self._began,
        )

    def succeeded(self) -> None:
        """Records the call in the audit trail, unless the call is recorded already. Use this
        function when the call has succeeded, or when its stream is open.
        """
        if not self._recorded and self.rpc.name not in RECORDED_IF_REFUSED:
            self.audit.succeeded()
        self._recorded = True

    @property
    def peer(self) -> str:
        return plain_address(str(self.context.peer()))

    @cached_property
    def identity(self) -> Identity:
        peer = self.peer
        if self.admitted is not None:
            known = self.admitted.known
            return Identity(name=known.name, peer=peer, roles=known.roles)
        name = certificate_of(self.context) if self._secure else ""
        return Identity(name=name or peer, peer=peer)

    def who(self, checks: Checks, performed_by: str) -> Who:
        performed_by = checks.text("performed_by", performed_by, most=CALLERS_ID)
        return Who(performed_by=performed_by, caller=self.identity.name)

    def check_provider(self, provider: str) -> None:
        """Raises Refused if the caller may not make the call for this provider."""
        if self.admitted is not None:
            self.admitted.check_provider(provider)


class Rpc(NamedTuple):
    """An RPC of the protos.

    `lasting`: true if a call can take long, because it is a stream or may wait. `names_provider`:
    true if the message has the field `provider` and adapters may call the RPC. `is_batch`: true if
    the message contains several actions.
    """

    name: str
    full_name: str
    lasting: bool
    names_provider: bool
    message: type[Message]
    is_batch: bool = False

    def checked(self, raw: bytes, call: IncomingCall) -> Any:
        """Decodes the message. Raises Refused if the caller may not make the call for the provider
        in the message.
        """
        request = call.request = self.decode(raw)
        if self.names_provider:
            call.check_provider(request.provider)
        return request

    def waits(self, request: Any) -> bool:
        """Tells whether a unary call with this message waits for an event."""
        return self.lasting and (request.wait.seconds > 0 or request.wait.nanos > 0)

    def decode(self, raw: bytes) -> Any:
        try:
            return self.message.FromString(raw)
        except DecodeError:
            why = "is not a message of this RPC (broken bytes, or text that is not UTF-8)"
            raise InvalidField(("request", why)) from None


def plain_address(peer: str) -> str:
    """Returns the address in the usual form, for example `[::1]:50051`. In the form of gRPC, the
    same address is `ipv6:%5B::1%5D:50051`.
    """
    kind, _, address = peer.partition(":")
    return unquote(address) if kind in {"ipv4", "ipv6"} else peer


def rpc_of(method: MethodDescriptor) -> Rpc:
    fields = method.input_type.fields_by_name
    return Rpc(
        name=method.name,
        full_name=method.full_name,
        lasting=method.server_streaming or method.client_streaming or "wait" in fields,
        is_batch="actions" in fields,
        names_provider="provider" in fields and Role.ADAPTER in ALLOWED[method.name],
        message=GetMessageClass(method.input_type),
    )
