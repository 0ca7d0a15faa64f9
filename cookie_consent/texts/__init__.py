"""The shipped words, one TOML file a language, and which of them a visitor is shown."""
