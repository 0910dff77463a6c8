"""Whether what is published is what the kept events give."""
