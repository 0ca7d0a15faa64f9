"""The report page, served."""
