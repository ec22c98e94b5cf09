"""A subscription with everything under way for it, and everything that changes it."""
