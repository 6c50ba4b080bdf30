"""The embedded Vault answers as the recorded one did, request by request."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tenantry.testing.vault import VaultServer

RECORDING: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "vault_golden.json").read_text()
)
TRANSPORT_HEADERS = {"Content-Length", "Connection", "Date", "Server", "Transfer-Encoding"}
RECORDED_UNSEAL_KEY = "6d2b1f49c532d19c2b40dcf1d1f78face97432d455be1fb8b9b1ece158ec113d"

NONE: dict[str, str] = {}
ROOT = {"X-Vault-Token": "root"}
# The recording keeps no request headers, so that each label's are concluded from its reply.
TENANT = {"X-Vault-Token": "s.recordedtoken000000000000"}
ONE_USE = {"X-Vault-Token": "s.recordedtoken000000000001"}
NON_RENEWABLE = {"X-Vault-Token": "s.recordedtoken000000000002"}
BOB = {"X-Vault-Token": "s.recordedtoken000000000003"}
WRAPPING = {"X-Vault-Token": "s.recordedtoken000000000004"}
HEADERS = {
    "no token": NONE,
    "bad token": {"X-Vault-Token": "bad"},
    "approle login": NONE,
    "approle bad secret": NONE,
    "approle bad role": NONE,
    "lookup-self": TENANT,
    "renew-self": TENANT,
    "read as tenant": TENANT,
    "forbidden by policy": TENANT,
    "forbidden by policy absent mount": TENANT,
    "renew-self capped by max": TENANT,
    "expired token read": TENANT,
    "expired token renew": TENANT,
    "expired token lookup": TENANT,
    "use 1": ONE_USE,
    "use 2": ONE_USE,
    "renew non renewable": NON_RENEWABLE,
    "userpass login": NONE,
    "userpass bad": NONE,
    "wrapped secret id": ROOT | {"X-Vault-Wrap-TTL": "60"},
    "wrap lookup": NONE,
    "unwrap": WRAPPING,
    "unwrap again": WRAPPING,
    "wrapped kv read": ROOT | {"X-Vault-Wrap-TTL": "60s"},
    "namespace header": ROOT | {"X-Vault-Namespace": "acme"},
    "bearer": {"Authorization": "Bearer root"},
    "revoke-self 204": BOB,
    "seal-status": NONE,
    "leader": NONE,
    "health head": NONE,
    "sealed login": NONE,
    "sealed health": NONE,
    "sealed health code override": NONE,
    "sealed seal-status": NONE,
    "unseal": NONE,
}
SECONDS_BEFORE = {"renew-self capped by max": 4.0, "expired token read": 7.0}

# Recorded tokens were replaced by longer ones when the recording was stripped of credentials.
SHAPES = {
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "service token": r"s\.[A-Za-z0-9]{24,25}",
    "batch token": r"b\.[A-Za-z0-9_-]{100,}",
    "accessor": r"[A-Za-z0-9]{24}",
    "mount accessor": r"(kv|system|identity|cubbyhole)_[0-9a-f]{8}",
    "lease": r"pki/issue/r/[A-Za-z0-9]{24}",
    "serial number": r"[0-9a-f]{2}(:[0-9a-f]{2}){19}",
    "cluster": r"vault-cluster-[0-9a-f]{8}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z",
    "pem": r"<pem>|-----BEGIN [A-Z ]+-----[\s\S]+-----END [A-Z ]+-----",
}
EPOCHS = range(1_700_000_000, 2_000_000_000)
REPEATABLE = {"time", "epoch", "pem"}


class TickingClock:
    """Moves by 100 microseconds whenever it is read, and by more when it is told to."""

    def __init__(self) -> None:
        self.now = 1_795_233_213.2

    def __call__(self) -> float:
        self.now += 0.0001
        return self.now


def shape(value: object) -> str | None:
    if isinstance(value, int) and value in EPOCHS:
        return "epoch"
    if not isinstance(value, str):
        return None
    return next((name for name, form in SHAPES.items() if re.fullmatch(form, value)), None)


@dataclass
class Normalizer:
    """Learns which id of the server stands for which recorded one, and holds it to that."""

    known: dict[Any, Any] = field(default_factory=dict)

    def expected(self, recorded: Any, actual: Any) -> Any:
        """The recorded value in the server's ids, where its own have the recorded shape."""
        if isinstance(recorded, dict) and isinstance(actual, dict):
            return {key: self.expected(value, actual.get(key)) for key, value in recorded.items()}
        if isinstance(recorded, list) and isinstance(actual, list):
            padded = actual + [None] * len(recorded)
            return [self.expected(*pair) for pair in zip(recorded, padded, strict=False)]
        return self._scalar(recorded, actual)

    def _scalar(self, recorded: Any, actual: Any) -> Any:
        found = shape(recorded)
        if found is None or isinstance(recorded, dict | list):
            return recorded
        if found == "pem":
            return actual if shape(actual) == "pem" else recorded
        if recorded not in self.known and found == shape(actual):
            fresh = found in REPEATABLE or actual not in self.known.values()
            self.known[recorded] = actual if fresh else f"{actual} was another's before"
        return self.known.get(recorded, recorded)

    def translated(self, recorded: Any) -> Any:
        """A part of a recorded request, in the server's ids."""
        if isinstance(recorded, dict):
            return {key: self.translated(value) for key, value in recorded.items()}
        if isinstance(recorded, list):
            return recorded
        return self.known.get(recorded, recorded)


def send(server: VaultServer, entry: dict[str, Any], normalizer: Normalizer) -> dict[str, Any]:
    method, path = entry["req"].split(" ", 1)
    headers = normalizer.translated(HEADERS.get(entry["label"], ROOT))
    if entry["label"] != "X-Vault-Request missing":
        headers = {**headers, "X-Vault-Request": "true"}
    body = None if entry["body"] is None else normalizer.translated(entry["body"])
    response = requests.request(
        method, server.url + path, json=body, headers=headers, timeout=10, allow_redirects=False
    )
    kept = {name: v for name, v in response.headers.items() if name not in TRANSPORT_HEADERS}
    reply = response.json() if response.text else ""
    return {"status": response.status_code, "headers": kept, "reply": reply}


@pytest.fixture(scope="module")
def replay() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    clock, pairs = TickingClock(), []
    with VaultServer(clock=clock) as server:
        server.unmount("secret")
        normalizer = Normalizer({RECORDED_UNSEAL_KEY: server.unseal_key})
        for entry in RECORDING:
            clock.now += SECONDS_BEFORE.get(entry["label"], 0.0)
            actual = send(server, entry, normalizer)
            recorded = {key: entry[key] for key in ("status", "headers", "reply")}
            pairs.append((normalizer.expected(recorded, actual), actual))
    return pairs


@pytest.mark.parametrize("index", range(len(RECORDING)), ids=[e["label"] for e in RECORDING])
def test_a_reply_is_the_recorded_one(
    replay: list[tuple[dict[str, Any], dict[str, Any]]], index: int
) -> None:
    """Status, headers and body are those of the recording, apart from ids and times."""
    expected, actual = replay[index]

    assert expected == actual


def test_the_recording_is_whole() -> None:
    """All 95 entries are replayed, and each label of the table is one of them."""
    labels = [entry["label"] for entry in RECORDING]

    assert 95 == len(set(labels)) == len(labels)
    assert set() == (set(HEADERS) | set(SECONDS_BEFORE)) - set(labels)


def test_a_repeated_id_has_to_repeat() -> None:
    """An id that the recording repeats must repeat in the replies, and no other may be equal."""
    first, second = "kv_00000001", "kv_00000002"
    normalizer = Normalizer()
    normalizer.expected(first, "kv_aaaaaaaa")

    assert "kv_aaaaaaaa" == normalizer.expected(first, "kv_bbbbbbbb")
    assert "kv_aaaaaaaa" != normalizer.expected(second, "kv_aaaaaaaa")


def test_plain_text_is_not_normalized() -> None:
    """What looks like none of Vault's ids has to be equal to the letter."""
    assert "permission denied" == Normalizer().expected("permission denied", "denied")
