"""Serves the contract: decodes messages, calls a service, encodes its result."""
