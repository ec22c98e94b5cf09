"""Tests adapters in any language. A fake server causes faults, and checks whether the adapter keeps
the rules.
"""
