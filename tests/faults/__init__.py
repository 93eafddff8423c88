"""Faults that are really caused in a running server, and what must hold after each of them.

A `Stage` is one server process with a load on it: retrying clients and resuming screens. A cause
(`causes.py`) harms the process or its machine; `trial.py` runs one and gives its row of the table.
"""
