"""Figures from recorded results; nothing here trains."""
