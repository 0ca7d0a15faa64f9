"""What a site declares: purposes, cookies, recipients, features, services."""
