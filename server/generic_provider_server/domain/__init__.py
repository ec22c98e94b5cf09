"""The pure functions and values of the business: no I/O, no clock, no chance."""
