"""Handles the files of archives: their folder, writing and reading a file, and the meaning of its
lines.
"""
