"""The tests. Each file is named after the module that it is about."""
