"""What visitors ask for and answer: the pages and endpoints under the prefix, and what is remembered of answers."""
