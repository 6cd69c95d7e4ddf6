"""Published data sets by name: where their files are, what they are called, how they are read."""
