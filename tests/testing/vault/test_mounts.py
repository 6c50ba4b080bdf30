from __future__ import annotations

import pytest

from tenantry.testing.vault import RefusedError
from tenantry.testing.vault.mounts import Call, Namespace


def test_a_call_without_a_token_has_no_caller() -> None:
    """An engine that needs to know who calls refuses a call that nobody made."""
    call = Call(
        "read", "p", "m/", Namespace.fresh(""), 0.0, body={"password": "pw"}, client_token="t0k3n"
    )

    with pytest.raises(RefusedError, match="missing client token"):
        _ = call.caller
    assert "pw'" not in repr(call)
    assert "t0k3n" not in repr(call)
