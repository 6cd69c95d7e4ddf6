"""Search for the best options on the validation set, by hyperopt or Ray Tune."""
