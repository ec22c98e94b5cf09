"""Defines which requests a simulated platform rejects."""

from __future__ import annotations

import re
from dataclasses import dataclass

from generic_provider import ProvisioningRequest, RequestType


class WrongRule(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that rejects requests.

    The rule rejects a request of the type if the request names `what`: a subscription, a service
    code, a platform id, a goods type, a serial number, a distributor, or the reference of a usage
    record. If `what` is empty, the rule rejects every request of the type.
    """

    type: str
    what: str
    code: str
    text: str

    def rejects(self, request: ProvisioningRequest) -> bool:
        if self.type not in ("*", RequestType.name_of(request.type)):
            return False
        return not self.what or self.what in set(_names(request))


def rule_of(text: str) -> Rule:
    """Returns the rule in a text TYPE[:WHAT]=CODE[:TEXT]. TYPE may be `*` for all types."""
    found = re.fullmatch(r"(\*|[A-Z_]+)(?::([^=]+))?=([^:]+)(?::(.*))?", text)
    if not found:
        raise WrongRule(f"{text!r} is not TYPE[:WHAT]=CODE[:TEXT]")
    kind, what, code, words = found.groups()
    if kind != "*":
        try:
            RequestType.value_of(kind)
        except ValueError as error:
            raise WrongRule(f"{text!r}: {error}") from None
    return Rule(kind, what or "", code, words or "")


def _names(request: ProvisioningRequest) -> list[str]:
    names = [request.subscription, request.usage.reference]
    for service in (request.service, *request.services):
        names += [service.service, service.provider_service_id, service.distributor]
    for item in (request.installed_item, *request.installed_items):
        names += [item.goods_type, item.serial_number, item.distributor]
    return [name for name in names if name]
