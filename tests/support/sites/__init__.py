"""Sites that tests visit."""
