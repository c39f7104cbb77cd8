"""Pure: VirtualService, DestinationRule, Gateway and the registry in, Envoy resources out."""
