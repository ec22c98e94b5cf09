"""Contains the commands.

Each command makes one change on the writer's thread, in a transaction, and may run twice.
"""
