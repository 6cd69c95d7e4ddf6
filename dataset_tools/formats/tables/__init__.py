"""Plain tables in whatever file they come: text, Parquet, JSON lines."""
