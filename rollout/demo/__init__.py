"""bookinfo and httpbin as small programs, scenarios that make v3 misbehave, and the demo that plays them."""
