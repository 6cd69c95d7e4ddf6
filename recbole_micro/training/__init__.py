"""Training and loading: one function builds what a configuration asks for, everything else calls it."""
