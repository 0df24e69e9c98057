"""The settings of a tenant, by noun."""
