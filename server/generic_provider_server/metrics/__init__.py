"""Counts and measures what the server does, and shows it to Prometheus."""
