"""The widget's door: visitors come in by an origin that is allowed, a token that ends soon, and
nothing else. No cookie, nothing secret in an address."""
