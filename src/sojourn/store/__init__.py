"""Stores: where a pipeline's tables are published, whole or not at all."""
