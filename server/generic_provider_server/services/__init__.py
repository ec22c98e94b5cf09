"""Contains what runs on the event loop: streams, duties of the clock, presence, callers that
wait.
"""
