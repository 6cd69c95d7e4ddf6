"""Recipes of data sets whose users and items are numbers, and whose features have one row for each."""
