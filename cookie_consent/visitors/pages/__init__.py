"""The HTML pages and boxes that visitors read."""
