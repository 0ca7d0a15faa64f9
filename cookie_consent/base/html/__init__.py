"""HTML: finds the body of a streamed document, inserts fragments, and fills templates."""
