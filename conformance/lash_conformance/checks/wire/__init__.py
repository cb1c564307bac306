"""Checks of the wire itself: they speak to a process of the target, line by line."""
