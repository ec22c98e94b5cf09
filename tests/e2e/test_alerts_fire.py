"""Tests that every alert fires while its fault lasts and ends afterwards, and that the dashboard
has data.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from generic_provider import Client
from generic_provider_server.demo.aluxsat import provider
from support.callers import allow
from support.faults import CODE, FAULTS, Fault, Stage
from support.figures import Figure
from support.processes import Server, wait_until
from support.prometheus import Prometheus, prometheus
from support.scraping import free_port

DASHBOARD = Path(__file__).parents[2] / "docs" / "deployment" / "grafana-dashboard.json"

PATIENCE = 300.0
"""The test waits at most this many seconds. The test is slow if other tests run at the same time.
"""


@pytest.mark.soak
@pytest.mark.debian("prometheus", "prometheus")
def test_each_alert_fires_while_its_fault_lasts(
    tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, callers = f"127.0.0.1:{free_port()}", tmp_path / "callers.toml"
    token = allow(callers, "everybody", "operator")
    monkeypatch.setenv("GENERIC_PROVIDER_TOKEN", token)
    with (
        Server(tmp_path, f"--metrics={metrics}", f"--callers={callers}") as server,
        Client(server.address, token=token, timeout=timedelta(minutes=1)) as crm,
        prometheus(tmp_path / "prometheus", metrics) as watching,
    ):
        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        stage = Stage(server, crm, token)
        for fault, alerts in FAULTS.items():
            _play(stage, watching, fault, alerts, figure=figure)
        wait_until(lambda: not _without_data(watching), what="the dashboard has data")


def _play(
    stage: Stage, watching: Prometheus, fault: Fault, alerts: tuple[str, ...], *, figure: Figure
) -> None:
    with contextmanager(fault)(stage):
        began = time.monotonic()
        for alert in alerts:
            wait_until(partial(_fires, watching, alert), what=alert, patience=PATIENCE)
            figure(f"{fault.__name__}, {alert}", f"fires after {_since(began)}")
        ended = time.monotonic()
    ends = partial(_fire_no_more, watching, alerts)
    wait_until(ends, what=f"{alerts} end", patience=PATIENCE)
    figure(f"{fault.__name__}", f"all have ended after {_since(ended)}")


def _fires(watching: Prometheus, alert: str) -> bool:
    return f"GenericProvider{alert}" in watching.firing()


def _fire_no_more(watching: Prometheus, alerts: tuple[str, ...]) -> bool:
    return not any(_fires(watching, each) for each in alerts)


def _since(time_before: float) -> str:
    return f"{time.monotonic() - time_before:.0f} s"


def _without_data(watching: Prometheus) -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    shown = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", ())]
    asked = [expression.replace("$provider", ".*") for expression in shown]
    assert len(asked) > 30
    return [each for each in asked if not watching.ask("query", query=each)["result"]]
