"""What computes figures where the records are."""
