"""What the middleware costs, measured."""
