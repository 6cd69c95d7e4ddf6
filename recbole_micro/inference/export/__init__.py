"""A trained model as a folder of plain arrays: vectors, ids, neighbours, reasons, for use without PyTorch."""
