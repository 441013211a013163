"""Wing: the machine that encodes. What it is (probe), and which profile describes it."""
