"""The OpenAI-compatible surface, below /v1/: their clients work here by changing `base_url` and the key."""
