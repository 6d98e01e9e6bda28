"""Measure LLM endpoints as their users meet them."""
