"""Notifies the listeners of commits, in this process and in the other processes."""
