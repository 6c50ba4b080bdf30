"""tenantry in other people's frameworks: one module per framework."""
