"""Which access records are made, counted and erased."""
