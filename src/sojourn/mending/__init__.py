"""Records read again, and tables made again, after something was mended."""
