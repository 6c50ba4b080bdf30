"""The endpoints below sys/policies/acl and their older spelling, sys/policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.testing.vault.envelope import RefusedError, Reply, no_content, secret
from tenantry.testing.vault.policies import ROOT, Policy

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Call
    from tenantry.testing.vault.routes import Handler


def policy_routes() -> list[tuple[str, str, Handler]]:
    """Return both spellings of listing, reading, writing and deleting policies."""
    return [
        (operation, pattern, handler)
        for prefix in ("policies/acl", "policy")
        for operation, pattern, handler in (
            ("list", prefix, _list),
            # The older of the two also lists for a plain GET, and so does the newer here.
            ("read", prefix, _list),
            ("read", f"{prefix}/+", _read),
            ("write", f"{prefix}/+", _write),
            ("delete", f"{prefix}/+", _delete),
        )
    ]


def _list(call: Call) -> Reply:
    names = sorted({*call.namespace.policies, ROOT})
    return secret({"keys": names, "policies": names})


def _read(call: Call, name: str) -> Reply:
    policy = call.namespace.policies.get(name)
    if policy is None:
        raise RefusedError(404)
    return secret({"name": name, "policy": policy.text, "rules": policy.text})


def _write(call: Call, name: str) -> Reply:
    text = str(call.body.get("policy") or call.body.get("rules") or "")
    call.namespace.policies[name] = Policy.parse(name, text)
    return no_content()


def _delete(call: Call, name: str) -> Reply:
    if name == "default":
        raise RefusedError(400, 'cannot delete "default" policy')
    call.namespace.policies.pop(name, None)
    return no_content()
