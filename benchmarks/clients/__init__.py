"""Ways to read a stream, each used as its documentation recommends for streaming.

A module a client, so that each can be imported where only its own packages are installed.
"""
