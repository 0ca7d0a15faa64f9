"""What is done to the app's responses."""
