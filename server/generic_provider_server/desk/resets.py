"""Describes reset runs in short texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import (
    DifferenceKind,
    PreviewResetRunResponse,
    RequestType,
    ResetRun,
    ResetRunDefinition,
    ResetRunDefinitionState,
    ResetRunState,
)

from .command_lines import advised, command
from .output import counted, moment

NOT_LISTED = frozenset({"id", "name", "provider", "state", "etag"})
"""The fields of a definition that have no line of their own: the first line contains them, or
nobody needs them (etag).
"""
MOST_SHOWN = 10
GUARD_LEAST = 100
"""The guard holds a run only if at least this number of subscriptions hold an entitlement."""


def preview_lines(totals: PreviewResetRunResponse.Totals) -> Iterator[str]:
    requests = ", ".join(
        [f"{each.count} {RequestType.name_of(each.type)}" for each in totals.requests]
    )
    yield f"{counted(totals.subscriptions, 'subscription')}: {requests or 'nothing to send'}"
    yield from unknown_lines(totals)
    yield (
        f"{totals.losing} of {totals.holding} subscriptions with an entitlement would lose one "
        f"({totals.switch_off_percent:.1f} %)"
        + (", so the run would be held" if totals.held else "")
    )
    if totals.losing and totals.holding < GUARD_LEAST:
        yield (
            f"The guard never holds a run in which fewer than {GUARD_LEAST} subscriptions hold an "
            "entitlement."
        )


def unknown_lines(totals: PreviewResetRunResponse.Totals) -> Iterator[str]:
    """Describes the listed subscriptions that a run cannot find, if there are any."""
    count, named = totals.unknown_subscriptions, totals.unknown_subscription_numbers
    if count:
        more = [f"and {count - len(named)} more"] if count > len(named) else []
        numbers = f" ({', '.join([*named, *more])})" if named else ""  # an older server names none
        what = "listed subscriptions that do not exist, or that the provider does not serve"
        yield f"{what}: {count}{numbers}"


def definition_lines(definition: ResetRunDefinition) -> Iterator[str]:
    state = ResetRunDefinitionState.name_of(definition.state)
    yield f"{definition.id} {state}  {definition.name} at {definition.provider}"
    for field, value in definition.ListFields():
        if field.name not in NOT_LISTED:
            yield f"  {field.name.replace('_', ' '):<24} {_shown(definition, field.name, value)}"
    if not definition.submitted:
        yield f"  {'submitted':<24} no"


def _shown(definition: ResetRunDefinition, field: str, value: Any) -> str:
    if isinstance(value, Timestamp):
        return moment(definition, field)
    if isinstance(value, bool):
        return "yes"
    if isinstance(value, str | int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    kinds = field == "difference_kinds"
    texts = [DifferenceKind.name_of(each) if kinds else each for each in value[:MOST_SHOWN]]
    more = [f"and {len(value) - MOST_SHOWN} more"] if len(value) > MOST_SHOWN else []
    return ", ".join([*texts, *more])


def run_lines(run: ResetRun, *, plan_follows: bool = False) -> Iterator[str]:
    """Describes the run, and the next steps. If `plan_follows` is true, the plan of a held run is
    printed after these lines, so the lines do not name the command that shows the plan.
    """
    state = ResetRunState.name_of(run.state)
    yield f"{run.id} {state}  {run.definition.name} at {run.definition.provider}"
    facts = {
        "why": run.message,
        "approved by": run.approved_by,
        "looked at": f"{run.examined} of {run.total}",
        "out of sync": str(run.out_of_sync),
        "left out": str(run.skipped) if run.skipped else "",
        "failed": str(run.failed) if run.failed else "",
        "requests": counts(run),
        "started": moment(run, "start_time"),
        "ended": moment(run, "end_time"),
    }
    yield from (f"  {name:<12} {fact}" for name, fact in facts.items() if fact)
    if run.requests_rejected:
        rejected = command("request", "list", "--reset-run", run.id, "--state", "rejected")
        yield f"  next         {rejected}"
    elif run.requests_pending:
        show = command("reset", "run", "show", run.id)
        yield f"  next         when no request is pending: {show}"
    if run.state == ResetRunState.HELD:
        yield from (f"  next         {each}" for each in _decisions(run)[plan_follows:])


def _decisions(run: ResetRun) -> list[str]:
    return [
        advised("see what it would send", "reset", "run", "show", run.id),
        advised("approve it", "reset", "run", "approve", run.id, "--reason", "WHY"),
        advised("or cancel it", "reset", "run", "cancel", run.id, "--reason", "WHY"),
    ]


def counts(run: ResetRun) -> str:
    """Returns the number of the run's requests in each state, in words."""
    if run.state == ResetRunState.HELD:
        return f"none yet, planned for {counted(run.out_of_sync, 'subscription')}"
    return (
        f"{run.requests_created}: {run.requests_completed} completed, "
        f"{run.requests_rejected} rejected, {run.requests_pending} pending"
    )
