"""The embedded data plane: Istio documents in, a real Envoy out."""
