"""What is done to interactions and to data sets: filtering, splits, joining features, encoding."""
