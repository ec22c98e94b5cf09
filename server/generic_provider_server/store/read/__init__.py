"""Contains the queries of the committed state."""
