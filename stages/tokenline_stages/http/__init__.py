"""The HTTP side of the sources: transport, shared clients, response bodies."""
