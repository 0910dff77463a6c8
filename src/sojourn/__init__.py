"""Sojourn turns raw event records into sessions, presence and metrics, and accounts for every record."""

__version__ = "0.1.0"
