"""The verbs. Every verb but serve, mesh and demo talks to the daemon over HTTP."""
