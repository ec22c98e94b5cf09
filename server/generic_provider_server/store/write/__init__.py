"""The transaction: what commands need is read in bulk, changed in memory and written in bulk."""
