"""What is done to the responses of the app."""
