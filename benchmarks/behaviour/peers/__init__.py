"""One module a client; each runs in that client's environment and imports nothing of ours."""
