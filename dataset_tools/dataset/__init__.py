"""A data set in its folder: reading it, writing it, what it counts, where it came from."""
