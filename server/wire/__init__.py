"""Connections: all that knows uvicorn's and websockets' insides."""
