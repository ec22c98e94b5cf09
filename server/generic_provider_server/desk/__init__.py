"""Explains subscriptions to a person. The command line uses this package."""
