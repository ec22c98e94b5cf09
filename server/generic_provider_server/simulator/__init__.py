"""Contains a simulated conditional access system or OTT platform, and its adapter."""
