"""The pages that visitors read, as HTML."""
