"""Computes what a platform holds for a subscription, and the requests that change it."""
