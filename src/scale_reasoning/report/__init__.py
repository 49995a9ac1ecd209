"""From stored outcomes to numbers with intervals, tables and plots."""
