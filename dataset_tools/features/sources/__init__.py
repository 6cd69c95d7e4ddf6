"""Feature matrices in whatever file they come: one class per format, all read in blocks."""
