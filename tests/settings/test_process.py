from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tenantry.settings import References, Settings
from tenantry.sources import env


def test_empty() -> None:
    """A configuration may say nothing."""
    settings = Settings.model_validate({})

    assert set() == settings.model_fields_set
    assert ("quarantine", 300.0) == (settings.registry.on_problem, settings.refresh.every)
    assert (None, None) == (settings.allow.origins, settings.allow.secrets)


class Placed(dict[str, Any]):
    """A mapping that knows where it was said."""


def test_mappings_stay_themselves() -> None:
    """A mapping that knows where its values were said is checked, and not copied."""
    tenants = Placed(acme={"anything": 1})
    settings = Settings(tenants=tenants, defaults=Placed(a=1))

    assert tenants is settings.tenants
    assert Placed is type(settings.defaults)
    assert dict is type(Settings(tenants={"acme": None}).tenants)
    with pytest.raises(ValidationError):
        Settings(tenants=Placed(acme=5))


def test_nothing_written_is_shown() -> None:
    """What is kept as it is written may hold a secret, and is in no repr."""
    layer = {"api_key": {"literal": "hunter2"}}
    named = {"name": layer}
    settings = Settings(defaults=layer, profiles=named, tenants=named, sources=named)

    assert "hunter2" not in f"{settings!r}{settings!s}"


def test_layers_stay_as_they_are() -> None:
    """Sources, defaults, profiles and tenants are kept as they are written, to be merged later."""
    said: dict[str, Any] = {
        "sources": {"vault": {"mount": "kv"}, "entra": None},
        "defaults": {"anything": 1},
        "profiles": {"p": {"anything": 1}, "empty": None},
        "tenants": {"acme": {"anything": 1}, "empty": None},
    }
    settings = Settings.model_validate(said)

    assert said == {key: getattr(settings, key) for key in said}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("version", {"version": 2}),
        ("catalog", {"catalog": "redis"}),
        ("registry.on_problem", {"registry": {"on_problem": "ignore"}}),
        ("registry.onproblem", {"registry": {"onproblem": "fail"}}),
        ("refresh.every", {"refresh": {"every": "often"}}),
        ("allow.origins", {"allow": {"origins": "https://x"}}),
        ("allow.origins.0", {"allow": {"origins": ["https://x/path"]}}),
        ("allow.secrets.env", {"allow": {"secrets": {"env": "KEY_*"}}}),
        ("profiles.p", {"profiles": {"p": "hunter2"}}),
        ("tenents", {"tenents": {"acme": "hunter2"}}),
    ],
)
def test_wrong(path: str, said: dict[str, Any]) -> None:
    """What is wrong is told with its path, and never with its value."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(said)

    assert [path] == [".".join(map(str, error["loc"])) for error in caught.value.errors()]
    assert "hunter2" not in f"{caught.value!s}{caught.value!r}"


@pytest.mark.parametrize(
    "origin", ["https://x", "http://x:80/", "https://*.x", "https://a-*.x", "https://[::1]:8"]
)
def test_origins(origin: str) -> None:
    """An origin is a scheme, a host and maybe a port."""
    settings = Settings.model_validate({"allow": {"origins": [origin]}})

    assert (origin,) == settings.allow.origins


def test_the_key_of_fingerprints_is_a_reference() -> None:
    """It is read where sources are known; in code it stays as it is written until then."""
    said = {"registry": {"fingerprint_key": {"env": "PEPPER"}}}
    references = References({"env": env.KIND})

    assert {"env": "PEPPER"} == dict(Settings.model_validate(said).registry)["fingerprint_key"]
    read = Settings.model_validate(said, context=references).registry.fingerprint_key
    assert read is not None
    assert ("env PEPPER", "fingerprint_key") == (str(read), read.setting)
    with pytest.raises(ValidationError, match="wants a secret reference") as caught:
        Settings.model_validate({"registry": {"fingerprint_key": "hunter2"}}, context=references)
    assert "hunter2" not in f"{caught.value!s}{caught.value!r}"
