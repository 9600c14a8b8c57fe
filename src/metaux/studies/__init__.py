"""Studies of many runs: a comparison, a search, a benchmark, the papers."""
