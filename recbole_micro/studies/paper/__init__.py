"""The tables and figures of MICRO's paper, trained anew."""
