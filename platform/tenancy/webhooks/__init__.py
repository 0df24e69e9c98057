"""Webhooks by Standard Webhooks: what happened is told to the addresses that a tenant names."""
