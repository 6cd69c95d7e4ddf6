"""Amazon's product data of 2014 and 2023."""
