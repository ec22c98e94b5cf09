"""Lists the metrics. The names and labels of the metrics are a part of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from ..store.notices.tally import (
    ACTIONS,
    ANSWERS,
    CREATED,
    HANDOVER,
    LOST,
    ROLLBACKS,
    SETTLE,
    SETTLED,
)

PREFIX = "generic_provider_"

CALLS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SPANS = (*CALLS, 60, 300, 1_800, 7_200, 86_400)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 400)
"""The upper limits of the buckets of histograms: CALLS and SPANS are in seconds, SIZES are numbers
of commands.
"""


class Kind(Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(NamedTuple):
    """A metric with its labels. `together` computes one value of a gauge from its values in all
    processes; counters and histograms are summed.
    """

    name: str
    labels: tuple[str, ...]
    help: str
    kind: Kind
    together: Callable[[Iterable[float]], float] = max
    buckets: tuple[float, ...] = ()

    @property
    def shown_as(self) -> str:
        return self.name if self.name.startswith("process_") else PREFIX + self.name


def _gauge(
    name: str, *labels: str, text: str, together: Callable[[Iterable[float]], float] = max
) -> Family:
    return Family(name, labels, text, Kind.GAUGE, together)


def _counter(name: str, *labels: str, text: str) -> Family:
    return Family(name, labels, text, Kind.COUNTER)


def _histogram(name: str, *labels: str, text: str, buckets: tuple[float, ...]) -> Family:
    return Family(name, labels, text, Kind.HISTOGRAM, buckets=buckets)


def _process(name: str, text: str, together: Callable[[Iterable[float]], float]) -> Family:
    return Family("process_" + name, (), text, Kind.GAUGE, together)


PENDING, OLDEST = "pending_requests", "oldest_pending_age_seconds"
EXPIRY, OUT_OF_SYNC = "next_expiry_seconds", "out_of_sync_subscriptions"
EFFECTIVE, ADAPTERS = "provider_effective", "adapters"
UNSETTLED, LAG = "unsettled_actions", "due_work_lag_seconds"
CREDIT, RUNS = "stream_credit_used_ratio", "reset_runs"
WATCHERS, WATCHER_LAG = "event_watchers", "event_watcher_lag_events"
REACHABLE, BUILD, REFUSED = "store_reachable", "build_info", "refused_credentials_total"
COMMIT, GROUP, RPC = "commit_seconds", "group_commands", "rpc_seconds"

FAMILIES = (
    _gauge(PENDING, "provider", "waiting_for", text="Pending requests by what they wait for."),
    _gauge(OLDEST, "provider", text="Age of the oldest pending request; 0 if there is none."),
    _gauge(
        EXPIRY,
        "provider",
        text="Time until the oldest pending request expires; if there is none, the pending window.",
    ),
    _gauge(OUT_OF_SYNC, "provider", text="Subscriptions whose platform differs from the CRM."),
    _gauge(EFFECTIVE, "provider", text="1 if the provider is effective, else 0."),
    _gauge(ADAPTERS, "provider", text="Open streams of adapters, at all server processes."),
    _gauge(UNSETTLED, text="Actions that have pending requests."),
    _gauge(LAG, "duty", text="By how much the most overdue work of a duty is late."),
    _gauge(
        CREDIT,
        "provider",
        text="Unanswered requests on streams, divided by the sum of their max_in_flight.",
    ),
    _gauge(RUNS, "state", text="The last 1,000 reset runs by their state, and all open runs."),
    _gauge(WATCHERS, text="Open streams of events.", together=sum),
    _gauge(
        WATCHER_LAG, text="Estimated number of events that the slowest watcher has not got yet."
    ),
    _gauge(REACHABLE, text="1 if every process reaches its database, else 0.", together=min),
    _gauge(BUILD, "version", text="Always 1; the label is the version of the server."),
    _counter(ACTIONS, "kind", "outcome", text="Actions, counted in each state that they reach."),
    _counter(CREATED, "provider", "type", "origin", text="Requests that were created."),
    _counter(SETTLED, "provider", "type", "state", "origin", text="Requests by their final state."),
    _counter(ANSWERS, "provider", "code", text="Answers of adapters by the service's verdict."),
    _counter(
        ROLLBACKS,
        "provider",
        "extent",
        text="Rejected requests, by whether the whole ACTION or a PART was taken back.",
    ),
    _counter(
        LOST,
        "provider",
        "cause",
        text="Leases that ended before all their requests were answered, and without a call of the "
        "adapter.",
    ),
    _counter(REFUSED, text="Calls with wrong credentials or without credentials."),
    _histogram(
        HANDOVER,
        "provider",
        text="Time from the creation of a request to its first hand-over.",
        buckets=SPANS,
    ),
    _histogram(
        SETTLE,
        "provider",
        text="Time from the creation of a request to its final state.",
        buckets=SPANS,
    ),
    _histogram(COMMIT, text="Duration of a transaction of the writer.", buckets=CALLS),
    _histogram(GROUP, text="Commands that one transaction committed.", buckets=SIZES),
    _histogram(
        RPC, "method", "code", text="Duration of calls and streams that ended.", buckets=CALLS
    ),
    _process("resident_memory_bytes", "Resident memory of all processes.", sum),
    _process("virtual_memory_bytes", "Virtual memory of all processes.", sum),
    _process("open_fds", "Open file descriptors of all processes.", sum),
    _process("max_fds", "Limit of open file descriptors of a process.", min),
    _process("start_time_seconds", "Start of the oldest process, as seconds since 1970.", min),
    Family("process_cpu_seconds_total", (), "CPU time of all processes.", Kind.COUNTER),
)
