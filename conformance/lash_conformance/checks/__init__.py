"""The checks, one chapter of the law a module."""
