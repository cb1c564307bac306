"""``python -m lash_conformance`` is ``lash-conformance``."""

from lash_conformance.cli import main

if __name__ == "__main__":
    main()
