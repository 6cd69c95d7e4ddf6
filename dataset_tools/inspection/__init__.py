"""What a data set holds, for people: counts, similarities, pictures."""
