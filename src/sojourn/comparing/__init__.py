"""What differs between tables, and between runs."""
