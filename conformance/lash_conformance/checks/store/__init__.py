"""Checks of the store contract."""
