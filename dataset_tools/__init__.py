"""Converters from published data sets to RecBole atomic files."""
