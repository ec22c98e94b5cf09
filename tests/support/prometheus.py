"""Runs a real Prometheus, which reads a real server and evaluates the alerts with shorter times."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from .processes import wait_until
from .scraping import free_port

RULES = Path(__file__).parents[2] / "docs" / "deployment" / "prometheus-rules.yaml"
SHORTER = {
    "oldest_pending_age_seconds) > 60": "oldest_pending_age_seconds) > 1",
    "> 900": "> 4",
    "< 86400": "< 604798",
    "> 100\n": "> 2\n",
    "> 10000": "> 100",
    "> 10\n": "> 2\n",
    "lag_seconds) > 60": "lag_seconds) > 3",
}
"""Replacements for the times and numbers of the rules that are too large for a test."""


def shortened() -> str:
    """Returns the rules, changed so that each alert fires within seconds."""
    text = RULES.read_text(encoding="utf-8")
    for long, short in SHORTER.items():
        assert long in text, long
        text = text.replace(long, short)
    return re.sub(r"for: \w+", "for: 1s", re.sub(r"\[\d+m\]", "[20s]", text))


@dataclass(frozen=True)
class Prometheus:
    address: str

    def ask(self, path: str, **parameters: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def firing(self) -> set[str]:
        alerts = self.ask("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def is_ready(self) -> bool:
        try:
            return bool(self.ask("query", query="up == 1")["result"])
        except URLError:
            return False


@contextmanager
def prometheus(folder: Path, metrics: str) -> Iterator[Prometheus]:
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": "generic-provider", "static_configs": [{"targets": [metrics]}]}
        ],
    }
    folder.mkdir()
    (folder / "rules.yaml").write_text(shortened(), encoding="utf-8")
    (folder / "prometheus.yaml").write_text(json.dumps(config), encoding="utf-8")
    running = Prometheus(f"127.0.0.1:{free_port()}")
    command = ["prometheus", f"--config.file={folder / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={running.address}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(running.is_ready, what="Prometheus reads the server")
        yield running
    finally:
        process.terminate()
        process.wait()
