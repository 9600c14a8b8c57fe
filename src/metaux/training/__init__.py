"""The training loop: steps, schedules, checkpoints, runs."""
