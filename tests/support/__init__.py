"""What tests share: a server process, a client that reads like the protocol, orders, waiting."""
