"""An open-loop HTTP load generator that measures from the intended start and says when it must not be believed."""
