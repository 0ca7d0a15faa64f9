"""The shipped texts, one TOML file for each language, and the choice of the visitor's language."""
