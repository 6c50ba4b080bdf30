"""`tenantry schema`: what editors check a configuration with."""

from __future__ import annotations

import json

from tenantry.schema import schema
from tenantry.sources import kinds


def schema_text() -> str:
    """Return the JSON Schema of a configuration, of every kind of source that is installed."""
    return json.dumps(schema(kinds()), indent=2, ensure_ascii=False) + "\n"
