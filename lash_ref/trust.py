"""Whom connections that are made here trust."""

import ssl
from functools import cache

import httpx


@cache
def trust() -> ssl.SSLContext:
    """The default certificates, read once: reading them takes longer than a call on loopback."""
    return httpx.create_ssl_context()
