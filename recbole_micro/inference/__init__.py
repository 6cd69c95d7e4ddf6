"""Trained models in use: lists of recommendations, vectors of new items."""
