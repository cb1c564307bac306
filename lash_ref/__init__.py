"""The reference reading of the lash contract."""

__version__ = "0.1.0"
