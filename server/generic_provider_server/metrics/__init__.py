"""Counts and measures the work of the server, and serves the metrics to Prometheus."""
