"""The policy: a site's purposes, cookies, recipients, features and services, checked and versioned."""
