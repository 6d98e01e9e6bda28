"""Wire formats that several providers share; sans-IO: bytes in, messages out."""
