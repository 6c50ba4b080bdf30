"""How a tenant stands."""

from typing import Final

SERVED: Final = "served"
DISABLED: Final = "disabled"
QUARANTINED: Final = "quarantined"
