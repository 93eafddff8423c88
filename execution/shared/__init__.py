"""Answers and events that are encoded once for all who ask for the same."""
