"""Stores everything: one thread writes, others read."""
