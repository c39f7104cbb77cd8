"""A cluster behind the ports: routes, workloads, leases and rollouts as objects of its API server."""
