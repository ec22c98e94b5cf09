"""Contains the rules and values of the business.

They are pure functions: they use no I/O, no clock and no random values.
"""
