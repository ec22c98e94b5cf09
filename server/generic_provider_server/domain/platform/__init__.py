"""Computes the contents of a platform for a subscription, and the requests that change them."""
