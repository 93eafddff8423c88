"""The benchmark: Bistro92 and its peers under the same load, one server and one client core."""
