"""The load generator against its peers: one server, interleaved rounds, ratios of requests per CPU-second."""
