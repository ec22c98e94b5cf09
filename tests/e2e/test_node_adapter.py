"""Tests the manual's adapter in JavaScript, if Node.js and the adapter's packages are installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support.foreign_adapter import PROTOS, keeps_every_rule, listing

PACKAGES = Path(os.environ.get("GENERIC_PROVIDER_TEST_NODE", "/nowhere"))
"""The folder in which `npm install` was called."""
# With these changes of the adapter, `adapter check` can test every rule.
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


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_the_node_adapter_keeps_every_rule(tmp_path: Path) -> None:
    node, modules = shutil.which("node"), PACKAGES / "node_modules"
    if not node or not modules.exists():
        pytest.skip(
            "needs Node.js, and GENERIC_PROVIDER_TEST_NODE: a folder with @grpc/grpc-js and "
            "@grpc/proto-loader"
        )
    (tmp_path / "adapter.js").write_text(listing("javascript", CHANGES))
    (tmp_path / "node_modules").symlink_to(modules)

    await keeps_every_rule(
        *(node, str(tmp_path / "adapter.js")),
        log=tmp_path / "node.log",
        environment={"GENERIC_PROVIDER_PROTOS": str(PROTOS)},
    )
