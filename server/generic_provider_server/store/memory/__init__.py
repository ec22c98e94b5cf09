"""Keeps in memory what a process needs between transactions."""
