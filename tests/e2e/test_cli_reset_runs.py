"""Tests reset runs on the command line, with a server that performs them."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from generic_provider import (
    Client,
    DeadlineExceeded,
    InvalidArgument,
    Provider,
    ProvisioningError,
    ProvisioningResponse,
    ResetRun,
    ResetRunState,
    ResponseStatus,
    ServerUnavailable,
    SubmitResetRunDefinitionResponse,
    actions,
)
from support.command_line import run, told_as_json
from support.forking import Forked
from support.processes import PATIENCE, Server, wait_until
from support.pulling import answer

PROVIDER = """
code = "P"
distributors = [{ code = "MAIN" }]
services = [
    { code = "SPORT", provider_service_id = "1001" },
    { code = "FILM", provider_service_id = "1003" },
]
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as running:
        file = tmp_path / "provider.toml"
        file.write_text(PROVIDER)
        run("provider", "apply", str(file), "--effective", server=running)
        yield running


@pytest.fixture
def crm(server: Server) -> Iterator[Client]:
    with Client(server.address, performed_by="mari") as client:
        yield client


def _accept_all(crm: Client) -> None:
    while taken := crm.pull("P", adapter="puller", max_requests=1_000).subscriptions:
        answers = [
            ProvisioningResponse(
                request=request.number,
                lease_token=lease.lease_token,
                status=ResponseStatus.ACCEPTED,
            )
            for lease in taken
            for request in lease.requests
        ]
        crm.send_responses("P", responses=answers)


def _outage(crm: Client, count: int) -> list[str]:
    """Creates subscriptions, and adds FILM to them while the provider is not effective. Returns
    their numbers.
    """
    service = ("P", "MAIN", "SPORT")
    numbers = [
        crm.perform(actions.BecomeSubscriber(type="DTH", services=[service])).subscription.number
        for _ in range(count)
    ]
    _accept_all(crm)
    crm.set_provider_state("P", state="NOT_EFFECTIVE")
    for number in numbers:
        add = actions.AddServices(services=[("P", "MAIN", "FILM")])
        crm.perform(add, subscription=number)
    crm.set_provider_state("P", state="EFFECTIVE")
    return numbers


def _said(server: Server, *arguments: str) -> str:
    result = run(*arguments, server=server)
    assert result.exit_code == 0, result.output
    return result.stdout


def _define(server: Server, *options: str) -> str:
    (made,) = told_as_json("reset", "run", "define", "--provider=P", *options, server=server)
    return str(made["id"])


def test_a_preview_says_that_the_guard_does_not_hold_a_small_run(
    server: Server, crm: Client
) -> None:
    services = [("P", "MAIN", "SPORT"), ("P", "MAIN", "FILM")]
    family = crm.perform(actions.BecomeSubscriber(type="DTH", services=services))
    _accept_all(crm)
    crm.set_provider_state("P", state="NOT_EFFECTIVE")
    gone = actions.RemoveServices(services=services[:1])
    crm.perform(gone, subscription=family.subscription.number)
    crm.set_provider_state("P", state="EFFECTIVE")

    preview = _said(server, "reset", "run", "preview", _define(server))

    assert "1 of 1 subscriptions with an entitlement would lose one (100.0 %)" in preview
    assert "The guard never holds a run in which fewer than 100 subscriptions" in preview
    assert "fewer than 100" in " ".join(run("reset", "run", "define", "--help").stdout.split())


def test_a_run_is_defined_previewed_submitted_and_watched(server: Server, crm: Client) -> None:
    numbers = _outage(crm, 3)
    definition = _define(server, "--name=after the outage")

    preview = _said(server, "reset", "run", "preview", definition)
    assert all(number in preview for number in numbers)
    assert "FILM (1003) on MAIN: is off on the platform" in preview
    assert "3 subscriptions: 3 ACTIVATE_SERVICE" in preview
    text = _said(server, "reset", "run", "preview", definition, "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["subscription"] for row in rows] == numbers
    assert {row["difference"] for row in rows} == {"SERVICE_MISSING"}
    assert not list(crm.list_reset_runs())

    watched = _said(server, "reset", "run", "submit", definition, "--watch")
    assert "COMPLETED" in watched
    assert "looked at    3 of 3" in watched
    (found,) = crm.list_reset_runs(definition=definition)
    assert found.requests_pending == 3
    _accept_all(crm)
    assert crm.get_reset_run(found.id).requests_completed == 3
    assert not list(crm.list_subscriptions(provider="P", sync_state="OUT_OF_SYNC"))
    shown = _said(server, "reset", "run", "show", found.id)
    assert "3 completed" in shown
    assert shown.count("REQUESTS_CREATED") == 3
    listed = _said(server, "reset", "run", "list", "--provider=P")
    assert found.id in listed
    assert "after the outage" in _said(server, "reset", "run", "list", "--definitions")


def test_the_rejected_requests_of_a_run_are_named(server: Server, crm: Client) -> None:
    numbers = _outage(crm, 2)
    submitted = _said(server, "reset", "run", "submit", _define(server), "--watch")
    (run_,) = crm.list_reset_runs()
    show = f"generic-provider reset run show {run_.id}"
    assert submitted.endswith(f"  next         when no request is pending: {show}\n")

    answer(crm, "P", status=ResponseStatus.REJECTED)
    _accept_all(crm)
    command = f"generic-provider request list --reset-run {run_.id} --state rejected"
    assert f"  next         {command}\n" in _said(server, "reset", "run", "show", run_.id)
    listed = _said(server, *command.split()[1:])
    assert [number in listed for number in numbers].count(True) == 1


def test_a_held_run_waits_for_its_approval_or_is_cancelled(server: Server, crm: Client) -> None:
    number, _ = _outage(crm, 2)
    definition = _define(server)
    held = _said(server, "reset", "run", "submit", definition, "--hold", "--watch")
    (first,) = crm.list_reset_runs()
    decide = f"[role operator]: generic-provider reset run {{}} {first.id} --reason WHY\n"
    assert "  requests     none yet, planned for 2 subscriptions\n" in held
    assert f"  next         approve it {decide.format('approve')}" in held
    assert f"  next         or cancel it {decide.format('cancel')}" in held
    shown = _said(server, "reset", "run", "show", first.id)
    see = f"see what it would send: generic-provider reset run show {first.id}\n"
    assert (see in held, see in shown, shown.count("PLANNED")) == (True, False, 2)
    refused = run("reset", "run", "submit", definition, server=server)
    assert "RUN_IN_PROGRESS" in refused.stderr
    assert "not sent" not in shown
    assert "CANCELLED" in _said(server, "reset", "run", "cancel", first.id, "--reason=no")
    shown = _said(server, "reset", "run", "show", first.id)
    assert shown.count("not sent: FILM (1003) on MAIN") == 2
    for verb, done in ("cancel", "cancelled"), ("approve", "approved"):
        late = run("reset", "run", verb, first.id, "--reason=no", server=server)
        said = f"Error: {first.id} is CANCELLED: nothing was {done}\n"
        assert (late.exit_code, late.stderr) == (1, said)

    submitted = crm.submit_reset_run_definition(definition, hold=True).reset_run.id
    wait_until(
        lambda: crm.get_reset_run(submitted).state == ResetRunState.HELD, what="the run is held"
    )
    crm.reset_subscription(number)
    approve = ("reset", "run", "approve", submitted, "--reason=looked", "--watch")
    assert "COMPLETED" in _said(server, *approve)
    superseded = _said(server, "reset", "run", "show", submitted, "--outcome=superseded")
    assert superseded.splitlines()[-1].split()[:3] == [number, "SUPERSEDED", "0"]
    approved = crm.get_reset_run(submitted)
    assert approved.approved_by
    assert approved.message == "its plan needs an approval; approved: looked"
    options = [
        line.split()[0]
        for line in run("reset", "run", "define", "--help").stdout.splitlines()
        if line.startswith("  --")
    ]
    assert options[0:3] == ["--provider", "--name", "--created-from"]


@pytest.mark.parametrize(
    ("command", "states", "exit_code"),
    [
        ("watch U0000000001", ["RUNNING", "HELD"], 0),
        ("watch U0000000001", ["RUNNING", "FAILED"], 1),
        ("submit D0000000001 --hold --watch", ["RUNNING", "HELD"], 0),
        ("approve U0000000001 --reason=seen --watch", ["RUNNING", "CANCELLED"], 1),
    ],
)
def test_a_run_is_watched_as_json(
    command: str, states: list[str], exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = ResetRun(id="U0000000001", state=ResetRunState.RUNNING)
    submitted = SubmitResetRunDefinitionResponse(reset_run=begun)
    runs = [ResetRun(id=begun.id, state=ResetRunState.value_of(each)) for each in states]
    if states[-1] == "HELD":
        runs.append(ResetRun(id="after it was held"))
    monkeypatch.setattr(Client, "watch_reset_run", lambda *_: iter(runs))
    monkeypatch.setattr(Client, "get_reset_run", lambda *_: begun)
    monkeypatch.setattr(Client, "approve_reset_run", lambda *_, **__: begun)
    monkeypatch.setattr(Client, "submit_reset_run_definition", lambda *_, **__: submitted)
    monkeypatch.setattr(Client, "get_provider", lambda *_: Provider())

    told = run("reset", "run", *command.split(), "--json")

    said = [json.loads(line)["state"] for line in told.stdout.splitlines()]
    assert (said, told.exit_code) == ([f"RESET_RUN_STATE_{each}" for each in states], exit_code)


@pytest.mark.parametrize("kind", [ServerUnavailable, DeadlineExceeded])
def test_who_loses_the_server_learns_that_the_run_continues(
    kind: type[ProvisioningError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def watched(*_: object) -> Iterator[ResetRun]:
        yield ResetRun(id="U0000000001", state=ResetRunState.RUNNING)
        raise kind("the server is away")

    monkeypatch.setattr(Client, "watch_reset_run", watched)
    monkeypatch.setattr(Client, "get_reset_run", lambda *_: ResetRun())

    told = run("reset", "run", "watch", "U0000000001")

    assert told.exit_code == 3
    continues = "U0000000001 continues on the server; to watch it again: "
    again = "generic-provider reset run watch U0000000001"
    assert f"{continues}{again}\nError: " in told.stderr, told.stderr


def test_a_platform_cannot_be_restored_to_a_time_in_the_future(server: Server, crm: Client) -> None:
    number = _define(server, "--restored-to=2020-01-01T00:00Z")
    for change in (("define", "--provider", "P"), ("edit", number)):
        refused = run("reset", "run", *change, "--restored-to=2126-01-01T00:00Z", server=server)
        assert refused.exit_code == 1
        why = "--restored-to: is in the future; the server's clock shows 20"
        assert why in refused.stderr, refused.stderr
    (stored,) = crm.list_reset_run_definitions()
    stored.platform_restored_to.FromJsonString("2126-01-01T00:00:00Z")
    with pytest.raises(InvalidArgument) as wrong:
        crm.preview_reset_run(stored)
    (violation,) = wrong.value.violations
    assert violation.field == "definition_fields.platform_restored_to"


@pytest.mark.usefixtures("crm")
def test_the_progress_of_an_empty_run_shows_that_it_has_ended(server: Server) -> None:
    empty = _define(server, "--error-code=UNSEEN")
    watched = _said(server, "reset", "run", "submit", empty, "--watch")
    assert ("0/0" in watched, "0/?" in watched) == (True, False)


@pytest.mark.parametrize("options", [(), ("--hold",)])
def test_the_progress_of_a_sample_ends_where_the_sample_is_complete(
    server: Server, crm: Client, options: tuple[str, ...]
) -> None:
    _outage(crm, 3)
    sample = _define(server, "--first=2")
    watched = _said(server, "reset", "run", "submit", sample, "--watch", *options)
    assert ("2/2" in watched, "2/3" in watched) == (True, False), watched


def test_ctrl_c_ends_only_the_watching(server: Server, crm: Client) -> None:
    _outage(crm, 20)
    definition = _define(server, "--pace=1")
    process = Forked("reset", "run", "submit", definition, "--watch", "--server", server.address)
    wait_until(lambda: bool(list(crm.list_reset_runs())), what="the run has begun")
    (begun,) = crm.list_reset_runs()
    wait_until(lambda: bool(crm.get_reset_run(begun.id).examined), what="the run has progress")
    process.send(signal.SIGINT)
    said = process.err.read()
    assert process.wait(PATIENCE) == 1
    assert f"it continues; to end it: generic-provider reset run cancel {begun.id} " in said
    assert "Aborted" not in said
    assert crm.get_reset_run(begun.id).state == ResetRunState.RUNNING


@pytest.mark.parametrize(
    ("typed", "listed"),
    [
        ("reset run show U0000000009", "reset run list [RESET_RUN_NOT_FOUND]"),
        ("reset run watch U0000000009", "reset run list [RESET_RUN_NOT_FOUND]"),
        ("reset run preview D1", "reset run list --definitions [RESET_RUN_DEFINITION_NOT_FOUND]"),
        ("archive download Z0000000009", "archive list [ARCHIVE_NOT_FOUND]"),
    ],
)
def test_an_unknown_id_gets_the_command_that_lists_all(
    server: Server, typed: str, listed: str
) -> None:
    refused = run(*typed.split(), server=server)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.endswith(f"; see: generic-provider {listed}\n")


def test_a_recurring_run_says_when_it_is_due(server: Server, crm: Client) -> None:
    _outage(crm, 1)
    definition = _define(server, "--cron=30 4 * * MON", "--time-zone=Europe/Tallinn")
    assert "30 4 * * MON Europe/Tallinn" in _said(server, "reset", "run", "list", "--definitions")
    said = _said(server, "reset", "run", "submit", definition)
    assert f"{definition} runs next at " in said
    assert said.endswith(f"generic-provider reset run set-state {definition} not-effective\n")
    watched = run("reset", "run", "submit", definition, "--watch", server=server)
    assert (watched.exit_code, watched.stdout) == (0, said)
    assert watched.stderr.startswith("the run begins at 20")
    assert watched.stderr.endswith("Z, so there is no run to watch yet\n")
    held = _said(server, "reset", "run", "submit", definition, "--hold")
    assert "Z, and each run is held until it is approved; to stop it: " in held
    assert "cron" in run("reset", "run", "define", "--provider=P", "--cron=x", server=server).stderr

    state = ("reset", "run", "set-state", definition)
    assert _said(server, *state, "not-effective").endswith("NOT_EFFECTIVE: no run of it begins\n")
    assert not crm.get_reset_run_definition(definition).HasField("next_run_time")
    assert "EFFECTIVE: it runs next at " in _said(server, *state, "effective")
    assert _said(server, "reset", "run", "delete", definition) == f"{definition} deleted\n"
    assert not list(crm.list_reset_run_definitions())


def test_a_definition_shows_whether_its_runs_are_held(server: Server, crm: Client) -> None:
    definition = _define(server, "--cron=30 4 * * MON")
    shown = ("reset", "run", "show", definition)
    assert "submitted no" in " ".join(_said(server, *shown).split())
    for option, hold in ((), False), (("--hold",), True):
        _said(server, "reset", "run", "submit", definition, *option)
        assert crm.get_reset_run_definition(definition).hold is hold
        assert "submitted yes" in " ".join(_said(server, *shown).split())
        assert ("hold yes" in " ".join(_said(server, *shown).split())) is hold
        listed = _said(server, "reset", "run", "list", "--definitions").splitlines()
        assert ("yes" in listed[1].split()) is hold
    _said(server, "reset", "run", "edit", definition, "--pace=7")
    assert not crm.get_reset_run_definition(definition).hold
    _outage(crm, 1)
    _said(server, "reset", "run", "edit", definition, "--clear=cron")
    held = crm.submit_reset_run_definition(definition, hold=True)
    assert (held.definition.hold, held.reset_run.definition.hold) == (True, True)


def test_an_edited_definition_keeps_the_values_that_are_not_given(
    server: Server, crm: Client
) -> None:
    definition = _define(
        server, "--name=weekly", "--cron=30 4 * * MON", "--time-zone=Europe/Tallinn",
        "--type=DTH", "--type=IPTV", "--full", "--max-switch-off-percent=5",
    )  # fmt: skip
    shown = " ".join(_said(server, "reset", "run", "show", definition).split())
    assert shown.startswith(
        f"{definition} EFFECTIVE weekly at P subscription types DTH, IPTV full yes "
        "max switch off percent 5 cron 30 4 * * MON time zone Europe/Tallinn version 1 "
    )
    former = crm.get_reset_run_definition(definition)
    edit = ("reset", "run", "edit", definition)
    said = _said(server, *edit, "--cron=0 5 * * *", "--type=OTT", "--pace=7", "--clear=full")
    assert said.endswith(f"generic-provider reset run submit {definition}\n")
    former.cron, former.subscriptions_per_second, former.full = "0 5 * * *", 7, False
    former.subscription_types[:] = ["OTT"]
    edited = crm.get_reset_run_definition(definition)
    for each in (former, edited):
        for output in ("etag", "update_time", "performed_by", "caller"):
            each.ClearField(output)
    assert edited == former

    _said(server, *edit, "--at=2999-01-01T00:00Z", "--clear=max-switch-off-percent")
    edited = crm.get_reset_run_definition(definition)
    assert (edited.WhichOneof("schedule"), edited.name) == ("run_at", "weekly")
    assert not edited.HasField("max_switch_off_percent")


def test_an_edit_that_changes_nothing_keeps_the_schedule(server: Server) -> None:
    definition = _define(server, "--cron=30 4 * * MON")
    submitted = _said(server, "reset", "run", "submit", definition)
    edited = _said(server, "reset", "run", "edit", definition, "--cron=30 4 * * MON")
    assert edited.startswith(f"{definition} reset unchanged: it runs next at ")
    assert edited.split()[-2:] == submitted.split("; ")[0].split()[-2:]


def test_names_that_the_provider_does_not_have_are_refused(server: Server, crm: Client) -> None:
    names = ("--service", "FILM", "--service", "FLIM", "--distributor", "TWIN")
    number = _define(server)
    for change in (("define", "--provider", "P"), ("edit", number)):
        refused = run("reset", "run", *change, *names, server=server)
        assert refused.exit_code == 1
        assert "--service (number 2): provider P has no service 'FLIM'" in refused.stderr
        assert "--distributor: provider P has no distributor 'TWIN'" in refused.stderr
    assert [each.id for each in crm.list_reset_run_definitions()] == [number]


def test_names_that_the_provider_has_lost_are_noted(server: Server, crm: Client) -> None:
    number = _define(server, "--service", "FILM", "--service", "SPORT")
    provider = crm.get_provider("P")
    del provider.services[1]
    crm.update_provider(provider)
    for command in "preview", "submit":
        noted = run("reset", "run", command, number, server=server)
        assert noted.stderr == "note: P has no service 'FILM' now\n"


def test_a_preview_counts_listed_subscriptions_that_do_not_exist(server: Server) -> None:
    listed = [f"--subscription=S{n:02}" for n in range(1, 13)]
    definition = _define(server, *listed)
    what = "listed subscriptions that do not exist, or that the provider does not serve"
    unknown = f"{what}: 12 ({', '.join([f'S{n:02}' for n in range(1, 11)])}, and 2 more)"

    preview = _said(server, "reset", "run", "preview", definition)
    submitted = run("reset", "run", "submit", definition, server=server)

    assert unknown in " ".join(preview.split())
    assert (submitted.exit_code, submitted.stderr) == (0, f"{unknown}\n")


def test_wrong_options_of_an_edit_are_refused(server: Server, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    edit = ("reset", "run", "edit", _define(server))
    for options, refusal in (
        ((), "give the options to change, or --clear OPTION"),
        (("--clear=crom",), "'crom' is not one of"),
        (("--pace=3", "--clear=pace"), "give either --clear pace or a new value"),
        (("--pace=3", "--cron="), "--cron: is required"),
        (("--pace=3", "--name="), "--name: is required"),
        (("--pace=3", f"--subscriptions-file={empty}"), f"{empty} names no subscription"),
    ):
        assert refusal in run(*edit, *options, server=server).stderr, options


def test_a_run_that_continues_is_named_when_its_definition_is_changed_or_stopped(
    server: Server, crm: Client
) -> None:
    _outage(crm, 1)
    definition = _define(server)
    held = _said(server, "reset", "run", "submit", definition, "--hold")
    (first,) = crm.list_reset_runs()
    assert held.endswith(f"it is HELD: see generic-provider reset run show {first.id}\n")
    for change in (("edit", definition, "--pace=3"), ("set-state", definition, "not-effective")):
        changed = run("reset", "run", *change, server=server)
        assert f"generic-provider reset run cancel {first.id}" in changed.stderr
    refused = run("reset", "run", "delete", definition, server=server)
    assert (refused.exit_code, "RUN_NOT_EDITABLE" in refused.stderr) == (1, True)
