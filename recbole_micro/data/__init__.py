"""Data: modality features in RecBole's order of items, the data set, the training loader, cold items."""
