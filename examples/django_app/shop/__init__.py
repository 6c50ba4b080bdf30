"""A shop whose customers are tenants."""
