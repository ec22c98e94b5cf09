"""Tests the verdicts of `adapter check` on adapters that keep the rules, and on adapters that do
not.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from generic_provider import (
    Adapter,
    Distributor,
    GoodsMapping,
    PlatformDown,
    Provider,
    ProvisioningRequest,
    Reject,
    RequestType,
    RetryLater,
    Service,
)
from generic_provider_server.conformance.named_parts import offer_of
from generic_provider_server.conformance.subscriber import Subscriber
from support.adapter_check import Serve, checked, judged, printed_by_check
from support.command_line import run, run_process
from support.naive_adapter import DeafAdapter, LeavingAdapter, NaiveAdapter, StackingAdapter

SLOW = "--slow-type", "update-address"
IMPATIENT = "--patience", "2"
TIMES = (1.1, 1.3, 2)


def usual(seconds: float) -> Serve:
    """Returns a function that runs an adapter with leases of the default duration, on a platform
    that takes this many seconds for UPDATE_ADDRESS.
    """

    async def serve(address: str) -> None:
        adapter = Adapter(address, provider="P", name="usual")

        @adapter.on(RequestType.UPDATE_ADDRESS)
        async def move(_: ProvisioningRequest) -> None:
            await asyncio.sleep(seconds)

        adapter.otherwise(lambda _: None)
        await adapter.serve()

    return serve


async def with_few_types(address: str) -> None:
    adapter = Adapter(address, provider="P", name="few types")
    adapter.on(
        RequestType.BECOME_SUBSCRIBER,
        RequestType.ACTIVATE_SERVICE,
        RequestType.DEACTIVATE_SERVICE,
    )(lambda _: None)
    await adapter.serve()


async def refusing_late(address: str) -> None:
    adapter = Adapter(address, provider="P", name="refusing late")

    @adapter.on(RequestType.UPDATE_ADDRESS)
    async def move(_: ProvisioningRequest) -> None:
        await asyncio.sleep(1.5)
        raise RetryLater(60)

    adapter.otherwise(lambda _: None)
    await adapter.serve()


def flaky(*types: RequestType.ValueType) -> Serve:
    """Returns a function that runs an adapter whose platform fails once for each of these types."""
    left = set(types)

    async def serve(address: str) -> None:
        adapter = Adapter(address, provider="P", name="flaky")

        @adapter.otherwise
        async def accept(request: ProvisioningRequest) -> None:
            if request.type in left:
                left.remove(request.type)
                raise RetryLater

        await adapter.serve()

    return serve


async def choosy(address: str) -> None:
    adapter = Adapter(address, provider="P", name="choosy")

    @adapter.otherwise
    async def accept(request: ProvisioningRequest) -> None:
        if request.service.service:
            raise Reject("E7", "no such service")

    await adapter.serve()


async def small(address: str) -> None:
    await Adapter(address, provider="P", name="small", max_in_flight=1).serve()


async def bundled(address: str) -> None:
    adapter = Adapter(address, provider="P", name="bundled", lease_duration=timedelta(seconds=3))

    @adapter.on(RequestType.ACTIVATE_SERVICE)
    async def activate(request: ProvisioningRequest) -> None:
        if request.service.service == "FILM":
            raise Reject("E42", "not on this card")
        if request.service.service == "PPV":
            raise PlatformDown(timedelta(seconds=1))

    @adapter.on(RequestType.UPDATE_ADDRESS)
    async def move(_: ProvisioningRequest) -> None:
        await asyncio.sleep(2)

    @adapter.on(
        RequestType.BECOME_SUBSCRIBER,
        RequestType.DEACTIVATE_SERVICE,
        RequestType.ADD_INSTALLED_ITEM,
        RequestType.REMOVE_INSTALLED_ITEM,
    )
    async def rest(_: ProvisioningRequest) -> None:
        pass

    await adapter.serve()


CHECKS: Mapping[str, tuple[Serve, *tuple[str, ...]]] = {
    "bundled": (bundled, *SLOW, "--rejecting", "FILM", "--down", "PPV"),
    "bundled, asked for little": (bundled,),
    **{f"usual, {seconds} s": (usual(seconds), *SLOW) for seconds in TIMES},
    "usual, at once": (usual(0), *SLOW),
    "few types": (with_few_types, *SLOW),
    "refusing late": (refusing_late, *SLOW),
    "naive": (NaiveAdapter().serve, *SLOW, *IMPATIENT, "--rejecting", "FILM"),
    "naive, never comes back": (
        *(NaiveAdapter(reconnects=False, rejecting="FILM").serve, *IMPATIENT),
        *("--rejecting", "FILM"),
    ),
    "naive, long leases": (NaiveAdapter(lease_seconds=30).serve, *SLOW, *IMPATIENT),
    "small": (small,),
    "flaky": (flaky(RequestType.BECOME_SUBSCRIBER, RequestType.ACTIVATE_SERVICE),),
    "flaky with items": (flaky(RequestType.ADD_INSTALLED_ITEM),),
    "choosy": (choosy,),
    "deaf": (DeafAdapter().serve, *SLOW, "--patience", "5"),
    "leaving": (LeavingAdapter().serve, *SLOW, "--patience", "5"),
    "stacking": (StackingAdapter().serve, *IMPATIENT, "--json"),
}


@pytest.fixture(scope="module")
def printed() -> Mapping[str, tuple[int, str]]:
    """Returns the exit code and the output of each check. All checks run at the same time, because
    a check mostly waits.
    """

    async def play() -> list[tuple[int, str]]:
        threads = ThreadPoolExecutor(len(CHECKS))
        asyncio.get_running_loop().set_default_executor(threads)
        return await asyncio.gather(*[printed_by_check(*check) for check in CHECKS.values()])

    return dict(zip(CHECKS, asyncio.run(play()), strict=True))


Printed = Mapping[str, tuple[int, str]]


def test_the_bundled_adapter_breaks_no_rule(printed: Printed) -> None:
    code, verdicts = judged(printed["bundled"])

    assert verdicts == dict.fromkeys(range(1, 14), "kept")
    assert code == 0


@pytest.mark.parametrize("seconds", TIMES)
def test_leases_shorter_than_asked_for_are_extended_by_the_bundled_adapter(
    printed: Printed, seconds: float
) -> None:
    code, verdicts = judged(printed[f"usual, {seconds} s"])

    assert (code, verdicts[7]) == (0, "kept")


def test_what_an_adapter_gives_no_chance_to_see_is_not_held_against_it(printed: Printed) -> None:
    code, verdicts = judged(printed["bundled, asked for little"])

    assert rules(verdicts, "not seen") == {7, 10}
    assert rules(verdicts, "broken") == set()
    assert code == 0


@pytest.mark.parametrize(
    ("adapter", "not_seen"),
    [
        ("usual, at once", {13: "work that lasts: --slow-type took less than a second"}),
        (
            "few types",
            {
                5: "ADD_INSTALLED_ITEM, which was answered RETRY_LATER UNKNOWN_TYPE",
                13: "work that lasts: --slow-type took less than a second",
            },
        ),
        (
            "refusing late",
            {13: "the second request of a cut lease, because --slow-type was refused"},
        ),
    ],
)
def test_what_an_adapter_does_not_know_refuses_or_answers_at_once_is_not_held_against_it(
    printed: Printed, adapter: str, not_seen: Mapping[int, str]
) -> None:
    code, verdicts = judged(printed[adapter])

    assert (code, rules(verdicts, "broken")) == (0, set())
    for rule, what in not_seen.items():
        assert re.search(
            rf"^ *{rule} .* kept .*not seen: {re.escape(what)}", printed[adapter][1], re.MULTILINE
        )


def test_an_adapter_that_starts_accepts_and_forgets_everything_fails_where_it_does(
    printed: Printed,
) -> None:
    code, verdicts = judged(printed["naive"])

    assert rules(verdicts, "broken") == {1, 3, 6, 7, 8, 9, 11, 12, 13}
    assert rules(verdicts, "not seen") == {4, 10}
    assert code == 1


def test_an_adapter_that_goes_on_after_a_rejection_and_never_comes_back_fails_there(
    printed: Printed,
) -> None:
    code, verdicts = judged(printed["naive, never comes back"])

    assert rules(verdicts, "broken") == {1, 3, 4, 8, 9, 11, 12}
    assert rules(verdicts, "not seen") == {6, 7, 10, 13}
    assert code == 1


@pytest.mark.parametrize("adapter", ["flaky", "flaky with items"])
def test_an_adapter_whose_platform_fails_once_breaks_no_rule(
    printed: Printed, adapter: str
) -> None:
    code, verdicts = judged(printed[adapter])

    assert (code, rules(verdicts, "broken")) == (0, set())


def test_a_service_that_the_platform_refuses_is_named_and_breaks_no_rule(printed: Printed) -> None:
    code, text = printed["choosy"]
    _, verdicts = judged(printed["choosy"])

    refused = "ACTIVATE_SERVICE SPORT was answered REJECTED E7, so the test could not continue; "
    assert f"{refused}--service names a service that the platform accepts" in text
    assert {3, 5, 12} <= rules(verdicts, "not seen")
    assert rules(verdicts, "broken") == set()
    assert code == 1  # because the check is not complete


def test_an_adapter_that_works_on_after_the_end_of_its_stream_breaks_a_rule(
    printed: Printed,
) -> None:
    code, verdicts = judged(printed["deaf"])

    assert (code, verdicts[7], verdicts[13]) == (1, "kept", "broken")
    assert "was begun after its stream had ended" in printed["deaf"][1]


def test_an_adapter_that_gives_its_leases_back_after_a_drain_breaks_a_rule(
    printed: Printed,
) -> None:
    code, verdicts = judged(printed["leaving"])

    assert (code, verdicts[11]) == (1, "broken")
    assert "the lease of a drained stream was released, not answered" in printed["leaving"][1]


def test_an_adapter_with_too_little_credit_is_not_judged(printed: Printed) -> None:
    assert judged(printed["small"]) == (1, {})


def test_work_of_most_of_a_lease_shows_an_adapter_that_never_extends(printed: Printed) -> None:
    _, verdicts = judged(printed["naive, long leases"])

    assert 7 in rules(verdicts, "broken")


def test_answers_that_pile_up_show_an_adapter_that_sends_the_newest_first(
    printed: Printed,
) -> None:
    code, lines = printed["stacking"]

    told = {each["rule"]: each for each in map(json.loads, lines.splitlines())}
    assert code == 1
    assert told[3]["word"] == "broken"
    assert "was answered before" in told[3]["seen"]
    assert "was not answered again after OUT_OF_ORDER" in told[9]["seen"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_check_without_an_adapter_gives_up(tmp_path: Path, options: list[str]) -> None:
    report = tmp_path / "report.xml"

    check = ("adapter", "check", "--listen=127.0.0.1:0", "--wait=0.2", f"--junit={report}")
    done = run_process(*check, *options)

    assert done.returncode == 1
    assert re.search(r"Error: no adapter connected to 127.0.0.1:\d+ within 0.2 s\n$", done.stderr)
    assert "testing" not in done.stdout + done.stderr
    suite = ET.parse(report).getroot()  # noqa: S314 - the check has written it
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_an_address_that_is_in_use_is_refused_as_by_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = run("adapter", "check", f"--listen={address}")

    assert refused.exit_code == 1
    assert f"Error: cannot serve on {address}: is another program there?" in refused.stderr


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("192.0.2.1:50098", "Cannot assign requested address"),  # an address that no machine has
        ("nowhere.invalid:50098", "no address is found for the host ("),
    ],
)
def test_an_address_that_is_not_of_this_machine_is_refused_with_the_reason(
    listen: str, why: str, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'x.db'}"
    serve = run_process("serve", f"--listen={listen}", "--insecure", f"--database={database}")
    check = run("adapter", "check", f"--listen={listen}")

    for code, said in (serve.returncode, serve.stderr), (check.exit_code, check.stderr):
        assert (code, said.splitlines()[1:]) == (1, [])
        assert said.startswith(f"Error: cannot serve on {listen}: {why}")
        assert said.endswith("; give another --listen\n")
    assert not list(tmp_path.iterdir())


async def test_the_check_asks_for_what_the_file_of_the_provider_offers(tmp_path: Path) -> None:
    file = tmp_path / "provider.toml"
    file.write_text(
        """
        code = "P"
        distributors = [
            { code = "TWIN", required_distributor = "ROOM" },
            { code = "ROOM", required_goods_types = ["BOX", "CHIP"] },
        ]
        services = [
            { code = "MOVIE", provider_service_id = "id-9", kind = "usage" },
            { code = "NEWS", provider_service_id = "id-1" },
            { code = "GOLD", provider_service_id = "id-2" },
        ]
        goods = [
            { goods_type = "CHIP", provider_goods_type = "chip" },
            { goods_type = "BOX", provider_goods_type = "stb" },
        ]
        """
    )
    asked: list[ProvisioningRequest] = []
    report = tmp_path / "report.xml"

    async def strict(address: str) -> None:
        adapter = Adapter(address, provider="P", name="strict")

        @adapter.otherwise
        async def accept(request: ProvisioningRequest) -> None:
            asked.append(request)

        await adapter.serve()

    options = f"--provider-file={file}", "--rejecting=GOLD", f"--junit={report}"
    code, verdicts = await checked(strict, *options)

    assert code == 0, verdicts
    items = {
        (each.distributor, each.provider_goods_type) for r in asked for each in r.installed_items
    }
    assert items == {("ROOM", "chip"), ("ROOM", "stb")}
    on = {
        tuple(each.provider_goods_type for each in r.service.items)
        for r in asked
        if r.service.distributor
    }
    assert on == {("stb", "chip")}  # in the order of the viewing point, as from the service
    services = {(each.service.service, each.service.provider_service_id) for each in asked}
    assert services - {("", "")} == {("NEWS", "id-1"), ("GOLD", "id-2")}
    suite = ET.parse(report).getroot()  # noqa: S314 - the check has written it
    assert (suite.get("tests"), suite.get("failures")) == ("13", "0")
    skipped = [case for case in suite if case.find("skipped") is not None]
    assert len(skipped) == int(suite.get("skipped", 0)) > 0
    refused = run("adapter", "check", f"--provider-file={file}", "--service=NONE")
    assert "the provider has no service 'NONE'" in refused.stderr


PROVIDER = Provider(
    code="P",
    distributors=[
        Distributor(code="TWIN", required_distributor="ROOM", allowed_services=["KIDS"]),
        Distributor(code="ROOM", allowed_services=["NEWS"]),
    ],
    services=[Service(code="NEWS"), Service(code="KIDS")],
    goods=[GoodsMapping(goods_type="CHIP")],
)


@pytest.mark.parametrize(("service", "point"), [("NEWS", "ROOM"), ("KIDS", "TWIN")])
def test_the_check_names_only_distributors_of_the_provider(service: str, point: str) -> None:
    assert offer_of(PROVIDER, service).distributor == point


def test_an_entitlement_on_a_viewing_point_without_goods_has_no_items() -> None:
    """The platform may have goods nevertheless, for other viewing points."""
    one = Subscriber("P", itertools.count(1), offer=offer_of(PROVIDER, "NEWS"))
    assert [each.goods_type for each in one.become().installed_items] == ["CHIP"]
    assert not one.activate().service.items


def rules(verdicts: Mapping[int, str], word: str) -> set[int]:
    return {rule for rule, found in verdicts.items() if found == word}
