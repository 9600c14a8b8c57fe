"""Many runs: methods x seeds, statistics, the verdict."""
