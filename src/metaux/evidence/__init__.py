"""From records to a sentence: statistics, comparison, verdict, table."""
