"""The built-in targets: the only place where the judge opens a backend of its own."""
