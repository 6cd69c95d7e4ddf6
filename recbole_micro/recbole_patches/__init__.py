"""What is changed in RecBole and in the libraries below it: one table of mends, one mechanism."""
