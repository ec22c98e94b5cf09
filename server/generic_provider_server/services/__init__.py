"""Contains the parts of the server that run on the event loop: streams, duties, presence, and
waiting callers.
"""
