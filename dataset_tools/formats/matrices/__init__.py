"""Matrices and other arrays in the files of NumPy, PyTorch and safetensors."""
