"""The report page, served live."""
