"""The tests. Each file is named after the module that it is about, and stands in the folder of its room."""
