"""A subscription with its unsettled actions and pending requests, and every change of it."""
