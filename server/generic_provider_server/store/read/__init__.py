"""Queries of the committed state."""
