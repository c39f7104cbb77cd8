"""The daemon's HTTP face: REST, event streams, webhooks, metrics. It records wishes and never touches traffic."""
