"""Optional help for other libraries."""
