"""Stores all values in the database: one thread writes, other threads read."""
