"""How operations reach the schema and leave it: the HTTP and WebSocket edges.

Compiled operations and encodings shared between screens belong here as well.
"""
