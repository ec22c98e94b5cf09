"""What the server does for its callers, on a store; gRPC is not known here."""
