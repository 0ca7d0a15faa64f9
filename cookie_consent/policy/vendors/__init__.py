"""What each vendor's tags can be told, as one data file a vendor, and what a policy maps to it."""
