"""Other frameworks and tools."""
