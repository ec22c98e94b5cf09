"""The server of Generic Provider."""
