"""Notifies those who deliver of commits, in this process and in the others."""
