"""What is kept in memory between transactions."""
