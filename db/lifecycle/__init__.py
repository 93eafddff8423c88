"""What can happen to an order: the changes, the one state machine, and its text in the database."""
