"""Several runs side by side: their processes, results, tables, plots and the report."""
