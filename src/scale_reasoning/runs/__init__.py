"""What happens around a strategy: one attempt and its record."""
