"""Runs commands in groups. Each group is one transaction, which reads rows in bulk, changes them in
memory, and writes them in bulk.
"""
