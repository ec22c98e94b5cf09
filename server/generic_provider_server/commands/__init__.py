"""Contains the commands.

Each command makes one change in a transaction on the writer's thread. A command runs again if its
transaction has failed because of another command or another process.
"""
