"""HTML: finding the body of a document, putting a fragment into it, filling templates."""
