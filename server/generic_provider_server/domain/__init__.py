"""Contains the rules and values of the business.

All functions are pure: they use no I/O, no clock and no random values.
"""
