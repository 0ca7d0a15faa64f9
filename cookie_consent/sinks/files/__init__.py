"""The JSON Lines sink: files that several processes append to."""
