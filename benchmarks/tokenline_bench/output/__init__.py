"""Output: reports on the console and in files."""
