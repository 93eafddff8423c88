"""What Bistro92 is compared with: small honest programs, as a good developer writes them."""
