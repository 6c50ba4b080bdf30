"""Whose is a request? What says so, and what may not."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, PermissionDenied
from django.test import RequestFactory, override_settings

from tenantry.integrations.django import (
    TenantNotAllowed,
    from_user,
    get_tenant,
    subdomain,
    trusted_header,
)


class User:
    """Somebody who was authenticated; has a company, and may have a profile."""

    is_authenticated = True
    company = SimpleNamespace(slug="acme", number=42, parent=None)

    @property
    def profile(self) -> object:
        raise NoProfileError

    def tenant(self) -> str:
        return "globex"


# What a reverse one-to-one raises in Django is both.
NoProfileError: Any = type("NoProfileError", (ObjectDoesNotExist, AttributeError), {})


def request(user: Any = None, **headers: str) -> Any:
    made = RequestFactory().get("/", headers=headers)
    if user is not None:
        made.user = user
    return made


def only_acme(request: Any, tenant: str) -> bool:
    return tenant == "acme"


async def only_acme_async(request: Any, tenant: str) -> bool:
    return tenant == "acme"


@pytest.mark.parametrize(
    ("where", "tenant"),
    [
        ("company.slug", "acme"),
        ("company.number", "42"),
        ("company.parent", None),
        ("company.parent.slug", None),
        ("profile.slug", None),
        (User.tenant, "globex"),
        (lambda user: user.profile.slug, None),
        (lambda _: None, None),
    ],
)
def test_of_the_user(where: Any, tenant: str | None) -> None:
    """A path of attributes, or a callable, finds the tenant; what does not exist is none."""
    assert tenant == from_user(where)(request(User()))


def test_of_nobody() -> None:
    """Whoever was not authenticated has no tenant, whatever attributes they have."""
    nobody = User()
    nobody.is_authenticated = False
    assert None is from_user("company.slug")(request(nobody))


def test_without_authentication() -> None:
    """A request without a user is a project without AuthenticationMiddleware, and told."""
    with pytest.raises(ImproperlyConfigured, match=r"contrib\.auth\.middleware"):
        from_user("company.slug")(request())


def test_a_misspelt_attribute() -> None:
    """An attribute that the user does not have is told with the path that was said."""
    with pytest.raises(ImproperlyConfigured, match=r"from_user\('compny.slug'\): .*'compny'"):
        from_user("compny.slug")(request(User()))


def test_a_header() -> None:
    """A header counts where `authorize` says so, and only where it says exactly that."""
    resolve = trusted_header("X-Tenant", authorize=only_acme)
    assert "acme" == resolve(request(**{"X-Tenant": "acme"}))
    assert None is resolve(request())
    assert None is resolve(request(**{"X-Tenant": ""}))
    for tenant in ("globex", "ACME", "acme, globex"):
        with pytest.raises(TenantNotAllowed):
            resolve(request(**{"X-Tenant": tenant}))


def test_what_is_merely_true() -> None:
    """An `authorize` that returns something, but not True, allows nothing."""
    resolve = trusted_header("X-Tenant", authorize=lambda *_: "no")  # type: ignore[arg-type]
    with pytest.raises(PermissionDenied):
        resolve(request(**{"X-Tenant": "acme"}))


async def test_authorizing_takes_time() -> None:
    """`authorize` may be async."""
    resolve = trusted_header("X-Tenant", authorize=only_acme_async)
    found = resolve(request(**{"X-Tenant": "acme"}))
    assert inspect.isawaitable(found)
    assert "acme" == await found
    refused: Any = resolve(request(**{"X-Tenant": "globex"}))
    with pytest.raises(TenantNotAllowed):
        await refused


def test_authorizing_by_path() -> None:
    """`authorize` may be a dotted path, as settings cannot import everything."""
    resolve = trusted_header("X-Tenant", authorize="operator.eq")
    with pytest.raises(TenantNotAllowed):
        resolve(request(**{"X-Tenant": "acme"}))
    with pytest.raises(ImproperlyConfigured, match="no_such_module"):
        trusted_header("X-Tenant", authorize="no_such_module.x")(request(**{"X-Tenant": "acme"}))


@pytest.mark.parametrize("resolver", [trusted_header, subdomain])
def test_nobody_authorizes(resolver: Any) -> None:
    """There is no way to trust what a caller says without saying who may say it."""
    with pytest.raises(TypeError, match="authorize"):
        resolver("example.com")
    with pytest.raises(TypeError, match="anybody could name any tenant"):
        resolver("example.com", authorize=None)


@pytest.mark.parametrize(
    ("host", "tenant"),
    [
        ("acme.example.com", "acme"),
        ("ACME.example.com:8000", "acme"),
        ("acme.example.com.", "acme"),
        ("example.com", None),
        ("evil.acme.example.com", None),
        ("testserver", None),
    ],
)
@pytest.mark.parametrize("domain", ["example.com", ".Example.com"])
def test_a_subdomain(host: str, tenant: str | None, domain: str) -> None:
    """One label before the domain is the tenant, whatever its case and port."""
    resolve = subdomain(domain, authorize=only_acme)
    assert tenant == resolve(request(Host=host))


def test_a_subdomain_that_is_not_allowed() -> None:
    """`authorize` decides over hosts, too; hosts that Django refuses never come so far."""
    resolve = subdomain("example.com", authorize=only_acme)
    with pytest.raises(TenantNotAllowed):
        resolve(request(Host="globex.example.com"))
    with pytest.raises(Exception, match="Invalid HTTP_HOST"):
        resolve(request(Host="acme.example.org"))


def test_a_request_of_a_wrong_setup(configured: dict[str, Any]) -> None:
    """A wrong path is told to whoever asks for the tenant."""
    told = pytest.raises(ImproperlyConfigured, match="compny")
    with override_settings(TENANTRY=configured | {"tenant": from_user("compny")}), told:
        get_tenant(request(User()))
