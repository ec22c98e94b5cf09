"""Contains the commands.

Each command makes one change in a transaction on the writer's thread. It runs again if the
transaction was rolled back because of another command or another process.
"""
