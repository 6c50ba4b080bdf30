"""What the setting `TENANTRY` may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from tenantry.integrations.django.options import Options, imported, read_options

RESOLVER = "tenantry.integrations.django.get_tenant"


def test_no_setting() -> None:
    """Without the setting, the error says what to write."""
    with pytest.raises(ImproperlyConfigured, match=r'TENANTRY = BASE_DIR / "config/tenants.yaml"'):
        read_options()
    assert not hasattr(settings, "TENANTRY")


@pytest.mark.parametrize(
    "said", ["tenants.yaml", Path("tenants.yaml"), ["a.yaml", "b.yaml"], {"tenants": {"acme": {}}}]
)
def test_a_configuration_alone(said: Any) -> None:
    """A path, several, or a mapping that says tenants, is the configuration itself."""
    with override_settings(TENANTRY=said):
        assert Options(config=said) == read_options()


def test_options() -> None:
    """A mapping with options says them by name; an empty one leaves all as they are."""
    with override_settings(TENANTRY={"config": "t.yaml", "tenant": RESOLVER, "unknown": 403}):
        assert Options(config="t.yaml", tenant=RESOLVER, unknown=403) == read_options()
    with override_settings(TENANTRY={}):
        assert Options() == read_options()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"confg": "t.yaml"}, "TENANTRY['confg'] is unknown: did you mean 'config'?"),
        ({"colour": "red"}, "TENANTRY['colour'] is unknown: there are config, current, environ"),
        ({"tenant": RESOLVER, "tenants": {}}, "say it in TENANTRY['config']"),
        ({"unknown": 500}, "TENANTRY['unknown'] is 404 or 403, not 500"),
        ({"registry": "a.b", "config": "t.yaml"}, "stands in the place of a configuration"),
    ],
)
def test_mistakes(said: Any, told: str) -> None:
    """What nobody understands is told, with what was meant."""
    with override_settings(TENANTRY=said), pytest.raises(ImproperlyConfigured) as caught:
        read_options()
    assert told in str(caught.value)


def test_a_resolver_by_its_path() -> None:
    """A resolver is a callable, or the dotted path of one; without one there is none."""
    assert Options(tenant=RESOLVER).resolver() is Options(tenant=imported(RESOLVER, "")).resolver()
    assert None is Options().resolver()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no.such.module", "TENANTRY['tenant']: No module named 'no'"),
        ("tenantry.nothing", 'does not define a "nothing" attribute'),
        ("tenantry.__all__", "'tenantry.__all__' cannot be called"),
        (7, "TENANTRY['tenant']: 7 cannot be called"),
    ],
)
def test_resolvers_that_are_none(said: Any, told: str) -> None:
    """What cannot be imported or called is told with the option that says it."""
    with pytest.raises(ImproperlyConfigured) as caught:
        Options(tenant=said).resolver()
    assert told in str(caught.value)
