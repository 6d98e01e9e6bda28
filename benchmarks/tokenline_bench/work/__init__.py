"""Work: what is asked."""
