"""The papers' experiments, one command each: what each needs, what it shows, and what came of it."""
