"""Pure edits of routing documents: what is ours is recognisable, what is not ours comes back byte for byte."""
