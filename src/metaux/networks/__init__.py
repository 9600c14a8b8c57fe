"""Backbones, and the two networks of the method."""
