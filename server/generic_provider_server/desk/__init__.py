"""Explains subscriptions to a person; the command line and the web console use it."""
