"""Measures the figures that docs/performance.md states; `make bench` runs them all."""
