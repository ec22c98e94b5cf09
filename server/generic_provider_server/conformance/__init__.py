"""Tests adapters in any language. A fake server causes faults and checks the rules for adapters."""
