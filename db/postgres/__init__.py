"""The database of several instances."""
