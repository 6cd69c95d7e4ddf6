"""Commands for a trained model: their arguments, their help, what they print and write."""
