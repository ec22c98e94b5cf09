"""Contains the writer and its transaction, which reads in bulk what commands need, changes it in
memory, and writes it in bulk.
"""
