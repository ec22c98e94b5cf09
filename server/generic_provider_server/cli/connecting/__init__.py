"""Connects to a server: the options for that, and why it was not reached."""
