"""`make bench`: speed, memory, scratch and quality as ratios within one run. Asserts nothing."""
