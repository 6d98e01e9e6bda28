"""The stages a response runs through, and the providers."""
