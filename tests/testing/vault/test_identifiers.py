from __future__ import annotations

import re

from tenantry.testing.vault import identifiers


def test_ids_have_vaults_shapes() -> None:
    """Tokens tell their kind by a prefix, accessors are 24 letters and digits."""
    assert re.fullmatch(r"[A-Za-z0-9]{24}", identifiers.accessor())
    assert re.fullmatch(r"s\.[A-Za-z0-9]{24}", identifiers.service_token())
    assert re.fullmatch(r"b\.[A-Za-z0-9_-]{100,}", identifiers.batch_token())
    assert re.fullmatch(r"kv_[0-9a-f]{8}", identifiers.mount_accessor("kv"))
