"""Contains the parts of the server that run on the event loop: streams, duties, the coordination
with other processes, and calls that wait.
"""
