"""Load: when requests are sent, and what is noted of each."""
