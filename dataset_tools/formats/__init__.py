"""Readers and writers of single files: text, tables, records, matrices; they know nothing of data sets."""
