"""A fair contest: every method tuned alike on validation data, then paired seeds on test data, looked at once."""
