from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tenantry.settings import (
    PoolSettings,
    ProxySettings,
    References,
    SecretReference,
    TimeoutSettings,
    TlsSettings,
)
from tenantry.sources import kinds

if TYPE_CHECKING:
    from tenantry.settings import Model

REFERENCES = References(kinds())


def fault(model: type[Model], said: object) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(said, context=REFERENCES)
    assert "hunter2" not in f"{caught.value!s}{caught.value!r}"
    [error] = caught.value.errors()
    return ".".join(map(str, error["loc"])), error["msg"]


def test_timeout() -> None:
    """Null is no limit, and is not the same as nothing said."""
    timeout = TimeoutSettings.model_validate({"connect": "5s", "read": None})

    assert (5.0, None) == (timeout.connect, timeout.read)
    assert {"connect", "read"} == timeout.model_fields_set


def test_pool() -> None:
    """A pool has numbers of connections, and a duration."""
    pool = PoolSettings.model_validate({"max_connections": 5, "keepalive_expiry": "1m"})

    assert (5, None, 60.0) == (
        pool.max_connections,
        pool.max_keepalive_connections,
        pool.keepalive_expiry,
    )


def test_tls() -> None:
    """A certificate is a path or a secret; its key is a secret."""
    by_path = TlsSettings.model_validate({"certificate": "/cert.pem"}, context=REFERENCES)
    by_secret = TlsSettings.model_validate(
        {"certificate": {"file": "/cert.pem"}, "key": {"env": "KEY"}}, context=REFERENCES
    )

    assert Path("/cert.pem") == by_path.certificate
    assert isinstance(by_secret.certificate, SecretReference)
    assert "env KEY" == str(by_secret.key)


@pytest.mark.parametrize("said", ["http://proxy:3128", {"url": "http://proxy:3128"}])
def test_proxy(said: object) -> None:
    """A bare URL stands for the proxy's address."""
    assert ProxySettings(url="http://proxy:3128") == ProxySettings.model_validate(said)


@pytest.mark.parametrize("said", ["proxy:3128", 3128, None, ["http://proxy"]])
def test_no_proxy(said: object) -> None:
    """What is no address is told as such, whatever it is."""
    assert ("url", "is not an http(s) URL") == fault(ProxySettings, said)


@pytest.mark.parametrize("url", ["http://user:hunter2@proxy:3128", "http://hunter2@proxy"])
def test_proxy_with_a_password(url: str) -> None:
    """A password in the URL is not shown; where to say it is told instead."""
    with pytest.raises(ValidationError) as caught:
        ProxySettings.model_validate(url)
    [error] = caught.value.errors()

    assert "holds a user name or password (not shown)" == error["msg"]
    assert "write {url: URL, username: NAME, password: {env: NAME}}" == error["ctx"]["hint"]
    assert "hunter2" not in f"{caught.value!s}{caught.value!r}"


@pytest.mark.parametrize(
    ("path", "model", "said"),
    [
        ("max_connections", PoolSettings, {"max_connections": 0}),
        ("read", TimeoutSettings, {"read": "hunter2"}),
        ("verify", TlsSettings, {"verify": "hunter2"}),
        ("key", TlsSettings, {"key": "hunter2"}),
        ("certificate", TlsSettings, {"certificate": 5}),
        ("password", ProxySettings, {"url": "http://proxy", "password": "hunter2"}),
        ("user", ProxySettings, {"url": "http://proxy", "user": "hunter2"}),
    ],
)
def test_wrong(path: str, model: type[Model], said: dict[str, Any]) -> None:
    """What is wrong is told with its path, and never with its value."""
    assert path == fault(model, said)[0]
