"""How much one question may ask for."""

MOST = 200  # items of a list, neighbours of an item, users of a search
MOST_REASONS = 1000  # neighbours of an explanation
LONGEST = 200  # characters of an id: longer ones are refused before anything looks at them
