"""The server of Generic Provider."""

from __future__ import annotations

import os

# gRPC's library writes lines of its own to standard error, between the lines of the log. It reads
# this variable when it is first imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
