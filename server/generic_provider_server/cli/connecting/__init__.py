"""Defines the options for the connection to a server, and finds out why a server was not
reached.
"""
