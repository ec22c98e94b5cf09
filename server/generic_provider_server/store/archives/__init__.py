"""Contains the files of archives: their folder, how a file is written and read, and what its lines
mean.
"""
