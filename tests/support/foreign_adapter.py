"""Runs the adapters in other languages than Python from the manual (docs/adapters.md). The adapters
are changed so that `adapter check` can test every rule.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from generic_provider_server.conformance.rules import RULES
from support.adapter_check import checked

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
OPTIONS = ("--slow-type", "update-address", "--rejecting", "FILM", "--down", "PPV")


def listing(language: str, changes: Iterable[tuple[str, str]]) -> str:
    page = (ROOT / "docs/adapters.md").read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    code = str(found[-1])
    for before, after in changes:
        assert before in code, before
        code = code.replace(before, after, 1)
    return code


async def keeps_every_rule(
    *command: str, log: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Runs the adapter against `adapter check`, and checks that it keeps every rule. The adapter
    reads the address of the check from the variable GENERIC_PROVIDER_SERVER.
    """

    async def serve(address: str) -> None:
        variables = {"GENERIC_PROVIDER_SERVER": address, **(environment or {})}
        with log.open("w") as out:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=out, stderr=out, env={**os.environ, **variables}
            )
        try:
            await process.wait()
        finally:
            process.kill()
            await process.wait()

    code, verdicts = await checked(serve, *OPTIONS)
    _show(log)

    assert (code, verdicts) == (0, dict.fromkeys(RULES, "kept"))


def _show(log: Path) -> None:
    """Prints the log. pytest shows it if the test fails."""
    sys.stdout.write(log.read_text())
