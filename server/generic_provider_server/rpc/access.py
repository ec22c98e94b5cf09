"""Decides who may make which calls. Defines the roles and the table of all RPCs, and checks each
call.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import grpc.aio

from generic_provider.certificates import expiry_of

from ..domain.refusals import Reason, Refused
from ..domain.values import Value

Context = grpc.aio.ServicerContext[Any, Any]
Proof = bytes | str
"""The credentials of a call: the digest of its token, or the common name in its client certificate;
an empty text if the call has neither.
"""
Rights = Mapping[str, frozenset[str] | None]
"""The RPCs that a caller may call, each with the providers for which the caller may call the RPC;
None means all providers.
"""


class Role(StrEnum):
    """The roles of callers. In the file of callers, the role ADAPTER is always for one provider:
    `adapter:ALUXSAT`.
    """

    CRM = "crm"
    ADAPTER = "adapter"
    SUPPORT = "support"
    OPERATOR = "operator"
    AUDITOR = "auditor"


EVERY_ROLE = frozenset(map(str, Role))
"""The roles of every caller if the settings name no file of callers. The role ADAPTER then covers
all providers.
"""


class Identity(Value, frozen=True):
    """The identity of a caller: the name, the roles, and the address of the client. If the caller
    has proved no name, the name is the address.
    """

    name: str
    peer: str
    roles: frozenset[str] = EVERY_ROLE

    @property
    def proven(self) -> bool:
        return self.name != self.peer


OPERATOR = frozenset({Role.OPERATOR})
ADAPTER = OPERATOR | {Role.ADAPTER}
READ = OPERATOR | {Role.SUPPORT, Role.AUDITOR}
CRM = OPERATOR | {Role.CRM}
CRM_READ = READ | CRM

ALLOWED: Mapping[str, frozenset[Role]] = {
    "CreateProvider": OPERATOR,
    "GetProvider": READ,
    "ListProviders": READ,
    "UpdateProvider": OPERATOR,
    "SetProviderState": OPERATOR,
    "PerformAction": CRM,
    "BatchPerformActions": CRM,
    "CancelScheduledAction": CRM | {Role.SUPPORT},
    "GetAction": CRM_READ,
    "ListActions": CRM_READ,
    "GetSubscription": CRM_READ,
    "ListSubscriptions": CRM_READ,
    "WatchEvents": CRM_READ,
    "StreamPendingRequests": ADAPTER,
    "PullPendingRequests": ADAPTER,
    "SendResponses": ADAPTER,
    "ExtendLeases": ADAPTER,
    "ReleaseLeases": ADAPTER,
    "ReportPlatformState": ADAPTER,
    "GetRequest": READ,
    "ListRequests": READ,
    "CancelRequest": OPERATOR,
    "ResolveRequest": OPERATOR,
    "GetBacklog": READ,
    "ListAdapters": READ,
    "ListAuditEntries": READ,
    "CreateArchive": OPERATOR | {Role.AUDITOR},
    "GetArchive": READ,
    "ListArchives": READ,
    "DownloadArchive": READ,
    "DeleteArchive": frozenset({Role.AUDITOR}),
    "ResetSubscription": OPERATOR | {Role.SUPPORT},
    "CreateResetRunDefinition": OPERATOR,
    "GetResetRunDefinition": READ,
    "ListResetRunDefinitions": READ,
    "UpdateResetRunDefinition": OPERATOR,
    "DeleteResetRunDefinition": OPERATOR,
    "SetResetRunDefinitionState": OPERATOR,
    "SubmitResetRunDefinition": OPERATOR,
    "PreviewResetRun": READ,
    "GetResetRun": READ,
    "ListResetRuns": READ,
    "ListResetRunEntries": READ,
    "WatchResetRun": READ,
    "ApproveResetRun": OPERATOR,
    "CancelResetRun": OPERATOR,
    "ServerReflectionInfo": frozenset(Role),
}
"""The roles that may call each RPC. Support, operators and auditors may call every RPC that only
reads. Everybody may call the health check, so it is not in this table.
"""


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A caller in the file of callers, with the RPCs that it may call."""

    name: str
    roles: frozenset[str]
    rights: Rights


def known(name: str, roles: frozenset[str]) -> KnownCaller:
    kinds = {role.partition(":")[0] for role in roles}
    own = frozenset(role.partition(":")[2] for role in roles if role.startswith("adapter:"))
    rights = {
        rpc: None if (allowed & kinds) - {Role.ADAPTER} else own
        for rpc, allowed in ALLOWED.items()
        if allowed & kinds
    }
    return KnownCaller(name=name, roles=roles, rights=rights)


def digest_of(token: str) -> bytes:
    """Returns the SHA-256 of the token. This fast digest is safe, because tokens are long and
    random, so nobody can try all tokens.
    """
    return sha256(token.encode()).digest()


class Access:
    """Checks calls against the contents that the file of callers had when it was last read."""

    def __init__(self, callers: Mapping[Proof, KnownCaller], *, secure: bool) -> None:
        self.callers = callers
        self._secure = secure

    def admit(self, rpc: str, context: Context) -> Admitted:
        """Identifies the caller of a call. Raises Refused if the caller is unknown. Only `check` of
        the result tells whether the caller may make the call.
        """
        return Admitted(self, rpc, _proof(context, secure=self._secure))


class Admitted:
    """One call of a known caller. The call can be checked again when the file of callers has
    changed.
    """

    __slots__ = ("_access", "_proof", "_provider", "_rpc", "known")

    def __init__(self, access: Access, rpc: str, proof: Proof) -> None:
        self._access = access
        self._rpc = rpc
        self._proof = proof
        self._provider: str | None = None
        self.known = self._found()

    def check(self) -> None:
        """Raises Refused if the caller may not make the call now. Then `known` does not change,
        because `check_provider` needs a caller who may make the call.
        """
        found = self._found()
        if self._rpc not in found.rights:
            names = sorted(map(_named, ALLOWED[self._rpc]))
            needed = f"{'one of the roles' if len(names) > 1 else 'the role'} {', '.join(names)}"
            raise Refused(
                Reason.PERMISSION_DENIED,
                f"{found.name} may not call {self._rpc}; this needs {needed}",
                caller=found.name,
                rpc=self._rpc,
            )
        self.known = found
        if self._provider is not None:
            self.check_provider(self._provider)

    def _found(self) -> KnownCaller:
        found = self._access.callers.get(self._proof)
        if found is None:
            raise _unknown(self._proof)
        return found

    def check_provider(self, provider: str) -> None:
        """Raises Refused if the caller may not make the call for this provider."""
        self._provider = provider
        providers = self.known.rights[self._rpc]
        if providers is not None and provider not in providers:
            raise Refused(
                Reason.PERMISSION_DENIED,
                f"{self.known.name} may not call {self._rpc} for the provider {provider!r}",
                caller=self.known.name,
                rpc=self._rpc,
                provider=provider,
            )


def _named(role: Role) -> str:
    return f"{role}:PROVIDER" if role is Role.ADAPTER else role


def _unknown(proof: Proof) -> Refused:
    what = "the token" if isinstance(proof, bytes) else "the client certificate"
    said = f"{what} belongs to no known caller" if proof else "give a token or a client certificate"
    return Refused(Reason.UNAUTHENTICATED, f"only known callers may make calls: {said}")


def _proof(context: Context, *, secure: bool) -> Proof:
    """Returns the credentials of the call. If the call has a token, ignores the certificate of the
    client. Raises Refused if the certificate is needed and has expired.
    """
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            scheme, _, token = str(value).partition(" ")
            return digest_of(token) if scheme.lower() == "bearer" else b"-"
    return _name_in_time(context.auth_context()) if secure else ""


def _name_in_time(peer: Mapping[str, Iterable[bytes]]) -> str:
    """Returns the name in the client's certificate. Raises Refused if the certificate has expired.

    TLS checks a certificate only when a client opens a connection, and not if the client resumes an
    earlier TLS session.
    """
    pem = b"".join(peer.get("x509_pem_cert", ()))
    if pem and time.time() > expiry_of(pem):
        raise Refused(Reason.UNAUTHENTICATED, "the client certificate has expired")
    return _name_of(peer)


def certificate_of(context: Context) -> str:
    """Returns the common name in the client's certificate; an empty text if the client has no
    certificate.
    """
    return _name_of(context.auth_context())


def _name_of(peer: Mapping[str, Iterable[bytes]]) -> str:
    return b"".join(peer.get("x509_common_name", ())).decode(errors="replace")
