"""Defines the options that say how to connect to a server, and finds out why a server was not
reached.
"""
