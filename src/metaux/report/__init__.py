"""Figures and the one-page report, from recorded results; nothing here trains."""
