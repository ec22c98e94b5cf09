"""Stores the values of the service in the database. In each process, one thread makes the changes
(except the sign of life and the checkpoints), and other threads read.
"""
