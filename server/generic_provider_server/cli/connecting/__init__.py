"""Contains the options that say how to connect to a server, and finds out why it was not
reached.
"""
