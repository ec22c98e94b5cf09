"""What lives on the event loop: streams, the clock, presence, callers who wait."""
