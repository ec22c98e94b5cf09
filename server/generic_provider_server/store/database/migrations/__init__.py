"""The changes of the schema, in the order in which they are made."""
