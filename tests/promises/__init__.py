"""The proofs of what archdsl promises under bad input: see each module's docstring for the promise and its figure."""
