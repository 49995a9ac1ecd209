"""`scale tune`: which strategies are tried, which are dropped after a round, and which one is chosen."""
