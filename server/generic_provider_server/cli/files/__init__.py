"""Reads the input files of commands: lines of messages, CSV, and TOML."""
