"""The report: one HTML file from recorded results, a module for each of the questions that it answers."""
