"""Plays a server against an adapter of any language, and judges it by the rules for adapters."""
