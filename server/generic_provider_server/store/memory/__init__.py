"""Keeps values in memory that a process needs between transactions."""
