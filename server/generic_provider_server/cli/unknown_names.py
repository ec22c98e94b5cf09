"""Adds a hint to an error about an unknown name, for example of a provider or a service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import get_close_matches

from generic_provider import Client, Provider, ProvisioningError

from ..desk.archived import THERE
from ..desk.command_lines import advised

KNOWN: Mapping[str, tuple[str, Callable[[Provider], list[str]]]] = {
    "DISTRIBUTOR_NOT_FOUND": ("distributor", lambda found: [d.code for d in found.distributors]),
    "SERVICE_NOT_FOUND": ("service", lambda found: [s.code for s in found.services]),
    "GOODS_TYPE_NOT_MAPPED": ("goods_type", lambda found: [g.goods_type for g in found.goods]),
}
"""For each reason: the key of the unknown name in the metadata of the error, and a function that
returns the names that a provider has.
"""

LISTS: Mapping[str, tuple[str, ...]] = {
    "ARCHIVE_NOT_FOUND": ("archive", "list"),
    "RESET_RUN_DEFINITION_NOT_FOUND": ("reset", "run", "list", "--definitions"),
    "RESET_RUN_NOT_FOUND": ("reset", "run", "list"),
}
"""For each reason: the command that lists the ids that exist."""

ARCHIVED = ("REQUEST_NOT_FOUND", "RESET_RUN_NOT_FOUND")
"""The reasons whose metadata may name the archive that contains the object."""


@contextmanager
def names_suggested(client: Client) -> Iterator[None]:
    """Adds the hint to an error in the `with` block, if the caller may read the names."""
    try:
        yield
    except ProvisioningError as error:
        hint = ""
        with suppress(ProvisioningError):
            hint = _hint(error, client)
        if not hint:
            raise
        raise type(error)(
            f"{error.message}; {hint}",
            reason=error.reason,
            metadata=error.metadata,
            code=error.code,
            violations=error.violations,
        ) from None


def _hint(error: ProvisioningError, client: Client) -> str:
    named = error.metadata
    if "subscription" in named:  # the name exists, but not on this subscription
        return ""
    if error.reason == "PROVIDER_NOT_FOUND":
        codes = [each.code for each in client.list_providers()]
        return _did_you_mean(named.get("provider", ""), codes, "provider", "list")
    if error.reason == "ACTION_NOT_FOUND":
        # the server does not know which archive contains an action
        archived = any(client.list_archives(states=THERE, page_size=1))
        return advised("if it is old, it may be in an archive", "archive", "list") * archived
    if error.reason in ARCHIVED and "archive" in named:
        download = advised("to read it", "archive", "download", named["archive"])
        return "" if "deleted" in named else download
    if error.reason in LISTS:
        if "state" in named:  # the archive exists, but its file does not
            return ""
        return advised("see", *LISTS[error.reason])
    if error.reason not in KNOWN:
        return ""
    key, names = KNOWN[error.reason]
    provider = client.get_provider(named.get("provider", ""))
    return _did_you_mean(named.get(key, ""), names(provider), "provider", "show", provider.code)


def _did_you_mean(wrong: str, known: list[str], *words: str) -> str:
    by_letters = {each.casefold(): each for each in known}
    similar = get_close_matches(wrong.casefold(), by_letters, n=1)
    meant = f"did you mean {by_letters[similar[0]]!r}? " if similar else ""
    return meant + advised("see", *words)
