"""Forgetting actors: nothing of what is kept decodes to them afterwards, and no later run brings them back."""
