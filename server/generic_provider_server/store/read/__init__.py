"""The questions that may be asked about what is committed."""
