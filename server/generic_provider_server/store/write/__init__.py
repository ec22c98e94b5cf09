"""Runs commands in groups. Each group is one transaction: the transaction reads rows in bulk,
changes the rows in memory, and writes the changes in bulk.
"""
