"""A simulated conditional access system or OTT platform, and an adapter that serves it."""
