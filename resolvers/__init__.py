"""What the root fields do: validate, ask the writer or the log, answer with records."""
