"""Checks of the host profile, a module a chapter of the law."""
