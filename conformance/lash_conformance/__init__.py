"""The judge: checks any lash store, in process or out of it, against the numbered clauses of the spec."""
