"""Keeps in memory the values that a process needs between transactions."""
