"""Makes the environment of the peers, which are the job queues and relays that the service is
compared with. The service itself does not need this environment.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".venv-bench"


def python_of_peers() -> Path:
    """Returns the environment's Python. Makes the environment if its lock file has changed."""
    lock, ready = ROOT / "bench" / "peers.lock", ENVIRONMENT / ".ready"
    if not ready.exists() or ready.stat().st_mtime < lock.stat().st_mtime:
        make = [ROOT / ".ci" / "make-environment", ENVIRONMENT, lock]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        ready.touch()
    return ENVIRONMENT / "bin" / "python"
