"""A trained network as other programs take it: the primary task alone, with its preprocessing and class names."""
