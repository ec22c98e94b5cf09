"""What a commit tells to those who deliver, in this process and in the others."""
