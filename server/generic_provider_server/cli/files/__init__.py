"""Reads the files that commands get: lines of messages, CSV, and TOML."""
