"""Handles archive files: their folder, the writing and reading of a file, and the meaning of its
lines.
"""
