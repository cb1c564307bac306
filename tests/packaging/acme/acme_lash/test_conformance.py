"""The whole suite by one import."""

from lash_conformance.suite import test_store_conforms

__all__ = ["test_store_conforms"]
