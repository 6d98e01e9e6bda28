"""Summary: from what was measured to a report."""
