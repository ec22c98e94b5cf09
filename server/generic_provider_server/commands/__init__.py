"""The changes: each command is run on the writer's thread, in a transaction, perhaps twice."""
