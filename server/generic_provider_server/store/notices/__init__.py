"""Notifies the listeners in this process and in all other processes of each commit."""
