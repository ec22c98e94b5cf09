"""Tests the alerts and the dashboard in docs/deployment. They use only metrics that exist. Each
alert has its chapter in the runbook, and fires and ends at the right time.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from generic_provider_server.metrics.families import FAMILIES, Kind
from support.faults import FAULTS

DOCS = Path(__file__).parents[2] / "docs"
RULES = DOCS / "deployment" / "prometheus-rules.yaml"
DASHBOARD = DOCS / "deployment" / "grafana-dashboard.json"
ALERTS = re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8"))
SUFFIXES = {Kind.COUNTER: ("",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
NAMES = {family.shown_as + end for family in FAMILIES for end in SUFFIXES[family.kind]}
LABELS = {label for family in FAMILIES for label in family.labels} | {"le", "job", "instance"}

CASES: dict[str, tuple[dict[str, str], int, int]] = {
    "Down": ({'up{job="generic-provider"}': "0x10 1x10"}, 5, 15),
    "StoreUnreachable": ({"store_reachable": "0x10 1x10"}, 5, 15),
    "NoAdapter": (
        {
            "adapters": "0x10 1x10",
            "provider_effective": "1x20",
            "oldest_pending_age_seconds": "100x20",
        },
        5,
        15,
    ),
    "BacklogOld": ({"adapters": "1x20", "oldest_pending_age_seconds": "1000x10 0x10"}, 8, 15),
    "RequestsExpireSoon": ({"next_expiry_seconds": "80000x20 700000x10"}, 15, 25),
    "ManyRejections": (
        {
            'requests_settled_total{state="REJECTED"}': "0+10x20 200x30",
            'requests_settled_total{state="COMPLETED"}': "0+1x50",
        },
        16,
        40,
    ),
    "PlatformFails": ({'pending_requests{waiting_for="RETRY"}': "20x20 0x10"}, 15, 25),
    "LeasesLost": ({'leases_lost_total{cause="RAN_OUT"}': "0+10x10 100x30"}, 8, 30),
    "CreditUsedUp": ({"stream_credit_used_ratio": "1x30 0x10"}, 20, 35),
    "OutOfSync": (
        {"out_of_sync_subscriptions": "200x50 0x10", "provider_effective": "1x60"},
        40,
        55,
    ),
    "NotEffective": ({"provider_effective": "0x300 1x10"}, 250, 305),
    "DueWorkLate": ({'due_work_lag_seconds{duty="ends"}': "100x10 0x10"}, 5, 15),
    "CallsFail": ({'rpc_seconds_count{code="UNAVAILABLE"}': "0+60x20 1200x20"}, 10, 35),
    "CommitsSlow": (
        {
            'commit_seconds_bucket{le="0.25"}': "0x40",
            'commit_seconds_bucket{le="1.0"}': "0+60x20 1200x20",
            'commit_seconds_bucket{le="+Inf"}': "0+60x20 1200x20",
        },
        12,
        35,
    ),
    "WatcherBehind": ({"event_watcher_lag_events": "20000x20 0x10"}, 15, 25),
    "ResetRunHeld": ({'reset_runs{state="HELD"}': "1x20 0x10"}, 18, 25),
    "WrongCredentials": ({"refused_credentials_total": "0+300x20 6000x20"}, 12, 35),
}
"""For each alert: the samples that Prometheus has read, one for each minute; the minute at which
the alert fires; and the minute at which the alert has ended.
"""


def expressions() -> list[str]:
    """Returns the expressions of the rules and of the dashboard."""
    rules = RULES.read_text(encoding="utf-8")
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    shown = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", ())]
    return [*re.split(r"- alert: ", rules)[1:], *shown]


def test_alerts_and_dashboard_use_only_metrics_and_labels_of_the_contract() -> None:
    text = "\n".join(expressions())
    labels = re.findall(r"(?:by|on) \(([^)]*)\)", text)
    used = {each.strip() for group in labels for each in group.split(",")}

    assert set(re.findall(r"generic_provider_\w+", text)) - NAMES == set()
    assert used - LABELS == set()
    for family in FAMILIES:
        if family.shown_as.startswith("generic_provider_"):
            assert family.shown_as in text, "a metric that nobody sees"


def test_each_alert_has_a_fault_that_is_played() -> None:
    played = [f"GenericProvider{name}" for alerts in FAULTS.values() for name in alerts]

    assert sorted(played) == sorted(ALERTS)


def test_each_alert_has_its_chapter_in_the_runbook() -> None:
    chapters = re.findall(r"(?m)^## (Generic\w+)$", (DOCS / "runbook.md").read_text("utf-8"))
    links = re.findall(r"docs/runbook\.md#(\w+)", RULES.read_text(encoding="utf-8"))

    assert chapters == ALERTS
    assert links == [alert.lower() for alert in ALERTS]


@pytest.mark.debian("prometheus", "promtool")
def test_each_alert_fires_and_ends(tmp_path: Path) -> None:
    assert [f"GenericProvider{name}" for name in CASES] == ALERTS
    tests = {"rule_files": [str(RULES)], "tests": [_test(name) for name in CASES]}
    file = tmp_path / "tests.yaml"  # JSON is YAML
    file.write_text(json.dumps(tests), encoding="utf-8")

    for command in (["check", "rules", str(RULES)], ["test", "rules", str(file)]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)  # noqa: S607
        assert done.returncode == 0, done.stdout + done.stderr


def _test(name: str) -> dict[str, object]:
    series, fires, ended = CASES[name]
    firing = f'count(ALERTS{{alertname="GenericProvider{name}",alertstate="firing"}})'
    asked = [(fires, [{"labels": "{}", "value": 1}]), (ended, [])]
    return {
        "interval": "1m",
        "input_series": [
            {
                "series": f"{'' if each.startswith('up{') else 'generic_provider_'}{each}",
                "values": v,
            }
            for each, v in series.items()
        ],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{minutes}m", "exp_samples": samples}
            for minutes, samples in asked
        ],
    }
