"""What is kept, and how: one thread writes it, others read it."""
