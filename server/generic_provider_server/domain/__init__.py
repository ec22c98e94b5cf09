"""The rules and values of the business, as pure functions: no I/O, no clock, no random values."""
