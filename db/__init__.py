"""The durable side of Bistro92: tables, engines, the writer and the order log."""
