"""The benchmark: every method tuned alike on validation data, then paired seeds on test data, measured once."""
