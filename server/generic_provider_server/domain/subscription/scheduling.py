"""Checks an action that will be performed later."""

from __future__ import annotations

from ..actions import AnyAction
from ..catalogue import Catalogues, catalogue_of
from ..refusals import Refused
from ..rules.resolve import resolve
from ..values import Subscription
from .names_used import ProviderPart, parts_named
from .perform import with_action


def scheduled(
    action: AnyAction, subscription: Subscription | None, *, catalogues: Catalogues
) -> AnyAction:
    """Returns the action, in which `resolve` has filled in the providers that the caller left out.

    Raises Refused if the fields of the action contradict each other, or if the action names a part
    that its provider does not have. The state of the subscription is checked only when the action
    is due.
    """
    try:
        resolved = resolve(action, subscription)
    except Refused as refused:
        raise with_action(action, refused) from None
    for part in parts_named(resolved):
        _check(part, catalogues)
    return resolved


def _check(part: ProviderPart, catalogues: Catalogues) -> None:
    kind, provider, distributor, code = part
    catalogue = catalogue_of(catalogues, provider)
    if distributor:
        catalogue.distributors[distributor]  # raises Refused if the code is unknown
    if kind == "s" and distributor:
        catalogue.offered(code, distributor=distributor)
    elif kind == "s":
        catalogue.services[code]
    elif kind == "g" and code:
        catalogue.goods[code]
