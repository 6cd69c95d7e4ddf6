"""Evaluation: what is ranked and masked, the loaders, metrics, several processes, significance."""
