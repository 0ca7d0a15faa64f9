"""What visitors see, in real browsers."""
