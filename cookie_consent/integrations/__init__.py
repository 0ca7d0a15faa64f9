"""Optional integrations with other frameworks and tools."""
