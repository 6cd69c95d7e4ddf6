"""Commands of studies, which are many trainings: their arguments, their help, what they print and write."""
