"""The server of Generic Provider."""

from __future__ import annotations

import os

# The library of gRPC writes its own lines to standard error, between the lines of the log. The
# variable GRPC_VERBOSITY prevents these lines. The library reads the variable when the library is
# imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
