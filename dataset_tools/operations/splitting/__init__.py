"""Splits of a data set: by ratio and time, of cold items, of items without features."""
