"""Workers: what generates load, in this process or in others."""
