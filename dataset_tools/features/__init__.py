"""A modality's vectors: our feature files, matrices from whatever file, encoders of texts and images."""
