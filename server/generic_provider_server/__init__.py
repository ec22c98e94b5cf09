"""The server of Generic Provider."""

from __future__ import annotations

import os

# The library of gRPC writes its own lines to standard error, between the lines of the log. This
# variable prevents these lines. The library reads the variable when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
