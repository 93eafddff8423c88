"""The texts of operations: their limits, and those that are kept."""
