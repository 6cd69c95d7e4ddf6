"""Encoders of texts and images, one a file; `registry` names them."""
