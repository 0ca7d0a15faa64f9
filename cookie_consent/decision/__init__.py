"""From signals, cookies and the consent record to the decision; and the gate that holds cookies to it."""
