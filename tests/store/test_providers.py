from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.providers import CreateProvider, UpdateProvider
from generic_provider_server.domain.actions import Terminate
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.records import Who
from generic_provider_server.domain.values import (
    Provider,
    ProviderState,
    RequestSettings,
    Service,
    SyncState,
)
from support.bench import Bench
from support.examples import SATELLITE, WEB, viewer

WITHOUT_BASIC = replace(
    SATELLITE, services=tuple([s for s in SATELLITE.services if s.code != "BASIC"])
)
NEW_ID = replace(
    SATELLITE,
    services=tuple(
        [
            replace(s, provider_service_id="0x99") if s.code == "BASIC" else s
            for s in SATELLITE.services
        ]
    ),
)
NARROWED = replace(
    SATELLITE,
    distributors=tuple([replace(d, allowed_services=("SPORT",)) for d in SATELLITE.distributors]),
)
TIMED = replace(SATELLITE, request_settings=RequestSettings(term_end_on_platform=True))


def update(provider: Provider, etag: int | None = None) -> UpdateProvider:
    return UpdateProvider(provider=provider, etag=etag)


async def test_a_new_provider_is_not_effective(bench: Bench) -> None:
    created = await bench.store.do(
        CreateProvider(
            provider=Provider(code="NEW", state=ProviderState.EFFECTIVE),
            digest=b"",
            who=Who(performed_by="Olev"),
        )
    )

    assert created.provider.state is ProviderState.NOT_EFFECTIVE
    assert created.who.performed_by == "Olev"
    assert bench.store.providers["NEW"] == created


async def test_a_provider_is_created_once(bench: Bench) -> None:
    with pytest.raises(Refused) as refused:
        await bench.store.do(CreateProvider(provider=SATELLITE, digest=b""))

    assert refused.value.reason is Reason.PROVIDER_EXISTS


async def test_a_repeated_creation_answers_with_the_provider_as_it_is_now(bench: Bench) -> None:
    create = CreateProvider(provider=Provider(code="NEW"), digest=b"new", request_id="set-up-1")
    await bench.store.do(create)
    changed = await bench.store.do(update(Provider(code="NEW", display_name="New")))

    assert await bench.store.do(create) == changed
    other = CreateProvider(provider=Provider(code="NEW2"), digest=b"2", request_id="set-up-1")
    with pytest.raises(Refused) as refused:
        await bench.store.do(other)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_provider_without_services_does_not_become_effective(bench: Bench) -> None:
    await bench.store.do(CreateProvider(provider=Provider(code="NEW"), digest=b""))
    with pytest.raises(Refused) as refused:
        await bench.start_provider("NEW")

    assert refused.value.reason is Reason.PROVIDER_INCOMPLETE
    assert bench.store.providers["NEW"].provider.state is ProviderState.NOT_EFFECTIVE


async def test_an_unknown_provider_is_not_found(bench: Bench) -> None:
    for command in (bench.start_provider("NEW"), bench.store.do(update(Provider(code="NEW")))):
        with pytest.raises(Refused) as refused:
            await command
        assert refused.value.reason is Reason.PROVIDER_NOT_FOUND


async def test_an_update_keeps_the_state_and_changes_the_etag(bench: Bench) -> None:
    before = bench.store.providers["SAT"]
    after = await bench.store.do(update(replace(SATELLITE, display_name="Satellite")))

    assert after.provider.state is ProviderState.EFFECTIVE
    assert after.provider.display_name == "Satellite"
    assert after.etag > before.etag
    assert bench.store.providers["SAT"] == after


async def test_an_update_that_changes_nothing_keeps_the_etag(bench: Bench) -> None:
    before = bench.store.providers["SAT"]

    assert await bench.store.do(update(SATELLITE)) == before


async def test_an_update_of_a_provider_that_was_changed_meanwhile_is_refused(bench: Bench) -> None:
    etag = bench.store.providers["SAT"].etag
    await bench.store.do(update(replace(SATELLITE, display_name="Satellite"), etag))
    for name in ("Satellite", "Other"):
        with pytest.raises(Refused) as refused:
            await bench.store.do(update(replace(SATELLITE, display_name=name), etag))
        assert refused.value.reason is Reason.ETAG_MISMATCH


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (WITHOUT_BASIC, "service BASIC cannot be removed, because"),
        (NEW_ID, "provider_service_id of service BASIC cannot be changed, because"),
        (NARROWED, "service BASIC on distributor MAIN cannot be removed, because"),
        (TIMED, "term_end_on_platform cannot be changed, because"),
    ],
)
async def test_what_subscriptions_name_does_not_change(
    bench: Bench, changed: Provider, said: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    with pytest.raises(Refused) as refused:
        await bench.store.do(update(changed))
    assert refused.value.reason is Reason.PROVIDER_IN_USE
    assert refused.value.metadata["count"] == "2"
    assert refused.value.message.startswith(said)

    await bench.accept_all("SAT")
    for number in ("S1", "S2"):
        await bench.perform(Terminate(), number)
        with pytest.raises(Refused):
            await bench.store.do(update(changed))
    await bench.accept_all("SAT")
    await bench.store.do(update(changed))


async def test_what_nobody_names_changes(bench: Bench) -> None:
    await bench.become(viewer("S1", "SPORT"))

    for changed in (WITHOUT_BASIC, SATELLITE, NEW_ID):
        assert (await bench.store.do(update(changed))).provider.services == changed.services


async def test_a_provider_grows_while_it_is_used(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    grown = replace(
        SATELLITE,
        services=(*SATELLITE.services, Service(code="KIDS", provider_service_id="0x30")),
    )
    await bench.store.do(update(grown))
    await bench.become(viewer("S2", "KIDS"))


async def test_what_happened_while_it_was_not_effective_is_out_of_sync(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    await bench.stop_provider("SAT")
    await bench.perform(Terminate(), "S1")
    await bench.start_provider("SAT")

    assert await bench.sync_state("S1", "SAT") is SyncState.OUT_OF_SYNC
    assert await bench.claim("SAT") == ()
    assert bench.store.providers["WEB"].provider == replace(WEB, state=ProviderState.EFFECTIVE)
