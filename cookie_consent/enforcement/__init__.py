"""Applies the decision to the app's responses: cookies, headers, banner and features."""
