"""Which policy lets whom do what: the ACL subset `path "..." { capabilities = [...] }`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.testing.vault.envelope import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = "root"
DEFAULT_POLICY = """
path "auth/token/lookup-self" { capabilities = ["read", "update"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/renew" { capabilities = ["update"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"""

_COMMENT = re.compile(r"^\s*(#|//).*$", re.MULTILINE)
_BLOCK = re.compile(r'path\s+"([^"]+)"\s*\{([^{}]*)\}')
_CAPABILITIES = re.compile(r"capabilities\s*=\s*\[([^\]]*)\]")
_WORD = re.compile(r'"([a-z]+)"')
_KNOWN = {"create", "read", "update", "delete", "list", "patch", "sudo", "deny"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One path of a policy, with `*` at its end or `+` for a segment, and what it allows."""

    path: str
    capabilities: frozenset[str]

    def matches(self, path: str) -> bool:
        return _pattern(self.path).fullmatch(path) is not None

    @property
    def literal(self) -> str:
        """The path up to its first wildcard."""
        return re.split(r"[*+]", self.path, maxsplit=1)[0]

    @property
    def priority(self) -> tuple[float, bool, int, int, str]:
        """Vault's order among the rules that match: the largest decides alone."""
        wild = self.literal != self.path
        first_wildcard = len(self.literal) if wild else float("inf")
        ends_open = self.path.endswith("*")
        return (first_wildcard, not ends_open, -self.path.count("+"), len(self.path), self.path)


@dataclass(frozen=True, slots=True)
class Policy:
    """A named text and the rules in it."""

    name: str
    text: str
    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, name: str, text: str) -> Policy:
        """Read a policy; what is not a `path` block with capabilities is refused with 400."""
        code = _COMMENT.sub("", text)
        if _BLOCK.sub("", code).strip():
            raise RefusedError(400, "failed to parse policy: only path blocks are understood")
        return cls(name, text, tuple(_rule(*match.groups()) for match in _BLOCK.finditer(code)))


def capabilities(policies: Iterable[Policy], path: str) -> frozenset[str]:
    """What these policies together allow on `path`; nothing where one of them denies."""
    matching = [rule for policy in policies for rule in policy.rules if rule.matches(path)]
    if not matching:
        return frozenset()
    strongest = max(rule.priority for rule in matching)
    granted = [rule.capabilities for rule in matching if rule.priority == strongest]
    union = frozenset[str]().union(*granted)
    return frozenset() if "deny" in union else union


def reaches(policies: Iterable[Policy], mount: str) -> bool:
    """Whether any rule allows anything below `mount`, which its preflight endpoint asks."""
    rules = [rule for policy in policies for rule in policy.rules]
    return any(
        rule.capabilities - {"deny"}
        and (rule.literal.startswith(mount) or mount.startswith(rule.literal))
        for rule in rules
        if rule.literal.startswith(mount) or rule.literal != rule.path
    )


def _rule(path: str, block: str) -> Rule:
    found = _CAPABILITIES.search(block)
    words = frozenset(_WORD.findall(found.group(1))) if found else frozenset[str]()
    if not found or words - _KNOWN:
        raise RefusedError(400, f'failed to parse policy: path "{path}": invalid capabilities')
    return Rule(path.lstrip("/"), words)


def _pattern(path: str) -> re.Pattern[str]:
    body = re.escape(path.removesuffix("*")).replace(r"\+", "[^/]+")
    return re.compile(body + (".*" if path.endswith("*") else ""), re.DOTALL)
