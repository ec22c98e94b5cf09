"""The files of archives: their folder, how one is written and read, and what its lines say."""
