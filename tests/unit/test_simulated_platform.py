"""The simulated platform removes what a request names, wherever it is."""

from __future__ import annotations

from generic_provider import testing
from generic_provider_server.simulator.platform import performed


def test_what_is_named_without_a_viewing_point_is_removed_at_any() -> None:
    become = testing.request("BECOME_SUBSCRIBER")
    holds = performed(None, become)
    service, card = become.services[0], become.installed_items[0]
    service.distributor = card.distributor = ""
    holds = performed(holds, testing.request("DEACTIVATE_SERVICE", service=service))
    holds = performed(holds, testing.request("REMOVE_INSTALLED_ITEM", installed_item=card))
    assert holds is not None
    assert (holds["services"], holds["items"]) == ([], [])
