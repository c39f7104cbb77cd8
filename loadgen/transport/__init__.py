"""How a request travels: sockets, TLS, timers, and one module for each protocol."""
