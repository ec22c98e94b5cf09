"""The manual's adapter in JavaScript, run by Node.js where its packages are."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from generic_provider_server.conformance.rules import RULES
from support.adapter_check import checked

ROOT = Path(__file__).parents[2]
PACKAGES = Path(os.environ.get("GENERIC_PROVIDER_TEST_NODE", "/nowhere"))
"""The folder in which `npm install` was called."""
# What the check needs to see every rule.
CHANGES = (
    (
        "LEASE = 30, SILENCE = 30, QUIET = 12, DOWN = 10",
        "LEASE = 3, SILENCE = 30, QUIET = 12, DOWN = 1",
    ),
    (
        "  REQUEST_TYPE_ACTIVATE_SERVICE: async (request) => {\n",
        """  REQUEST_TYPE_UPDATE_ADDRESS: async () => { await sleep(2000); },
  REQUEST_TYPE_ACTIVATE_SERVICE: async (request) => {
    if (request.service.service === "FILM") throw new Refused("E42", "no");
    if (request.service.service === "PPV") throw new PlatformDown();
""",
    ),
)


@pytest.mark.timeout(300)
async def test_the_node_adapter_keeps_every_rule(tmp_path: Path) -> None:
    node, modules = shutil.which("node"), PACKAGES / "node_modules"
    if not node or not modules.exists():
        pytest.skip(
            "needs Node.js, and GENERIC_PROVIDER_TEST_NODE: a folder with @grpc/grpc-js and "
            "@grpc/proto-loader"
        )
    page = (ROOT / "docs/adapters.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```javascript\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    for before, after in CHANGES:
        assert before in code
        code = code.replace(before, after, 1)
    (tmp_path / "adapter.js").write_text(code)
    (tmp_path / "node_modules").symlink_to(modules)

    async def serve(address: str) -> None:
        variables = {
            "GENERIC_PROVIDER_SERVER": address,
            "GENERIC_PROVIDER_PROTOS": str(ROOT / "protos"),
        }
        with (tmp_path / "node.log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                *(node, str(tmp_path / "adapter.js")),
                stdout=log,
                stderr=log,
                env={**os.environ, **variables},
            )
        try:
            await process.wait()
        finally:
            process.kill()
            await process.wait()

    exit_code, verdicts = await checked(
        serve, "--slow-type", "update-address", "--rejecting", "FILM", "--down", "PPV"
    )

    assert verdicts == dict.fromkeys(RULES, "kept"), (tmp_path / "node.log").read_text()
    assert exit_code == 0
