"""Stores the values of the service in the database. In each process, the writer's thread makes all
changes, with one exception: the sign of life of the process has a thread of its own. Other threads
read.
"""
