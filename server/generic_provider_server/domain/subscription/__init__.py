"""Defines a subscription with its unsettled actions and pending requests, and all their changes."""
