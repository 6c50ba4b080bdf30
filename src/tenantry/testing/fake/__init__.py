"""A registry without servers: real sealed clients over answers that a test gives."""

from tenantry.testing.fake.registry import FakeRegistry
from tenantry.testing.fake.service import SentRequest

__all__ = ["FakeRegistry", "SentRequest"]
