"""From one database to the other."""
