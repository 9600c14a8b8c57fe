"""A search by successive halving, then an honest test of what it found."""
