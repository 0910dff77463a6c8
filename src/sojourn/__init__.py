"""Sojourn turns raw event records into sessions, activity and metrics, and accounts for every record."""

__version__ = "0.1.0"
