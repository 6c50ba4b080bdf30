"""System checks: what `manage.py check` finds wrong with the setting and what it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  # Django's own name
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tenantry.errors import ConfigError
from tenantry.integrations.django.options import SETTING, Options, read_options
from tenantry.integrations.django.resolvers import subdomain
from tenantry.opening import Opening
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tenantry.errors import Problem


def check_setting(**_: object) -> list[CheckMessage]:
    """E001: the setting is missing, or cannot be used."""
    try:
        read_options()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="tenantry.E001")]
    return []


def check_configuration(**_: object) -> list[CheckMessage]:
    """E002 and W001: each problem of the configuration, with its file and line."""
    options = _options()
    if options is None or options.registry is not None:
        return []
    environ = os.environ if options.environ is None else options.environ
    opening = Opening(options.config, environ, kinds())
    try:
        read = opening.read()
    except ConfigError as error:
        return [_told(Error, problem, "tenantry.E002") for problem in error.problems]
    found = (problem for problems in read.quarantined.values() for problem in problems)
    return [_told(Warning, problem, "tenantry.W001") for problem in found]


def check_tenant(**_: object) -> list[CheckMessage]:
    """E003: what says whose a request is cannot be imported."""
    options = _options()
    if options is None:
        return []
    try:
        options.resolver()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="tenantry.E003")]
    return []


def check_middleware(**_: object) -> list[CheckMessage]:
    """E004 and W002: the middleware stands before authentication, or is missing."""
    ours, theirs, options = _position(_OURS), _position(_THEIRS), _options()
    if ours is None and options is not None and options.tenant is not None:
        return [Warning(_NO_MIDDLEWARE, hint=f"Add {_OURS!r} to MIDDLEWARE.", id="tenantry.W002")]
    if ours is not None and theirs is not None and ours < theirs:
        return [Error(_TOO_EARLY, hint="Move it behind.", id="tenantry.E004")]
    return []


def check_secrets(**_: object) -> list[CheckMessage]:
    """W003: the settings hold a secret as text."""
    options = _options()
    config = None if options is None else options.config
    if isinstance(config, Mapping) and any(_literals(config)):
        hint = "Refer to it: {'env': NAME}, {'file': PATH}."
        return [Warning(_LITERAL, hint=hint, id="tenantry.W003")]
    return []


def check_hosts(**_: object) -> list[CheckMessage]:
    """W004: the tenant is taken from a host that nobody checks."""
    options = _options()
    if options is None or not isinstance(options.tenant, subdomain):
        return []
    if "*" in settings.ALLOWED_HOSTS:
        return [Warning(_ANY_HOST, hint="Say '.your.domain'.", id="tenantry.W004")]
    return []


ALL: Sequence[Callable[..., list[CheckMessage]]] = (
    check_setting,
    check_configuration,
    check_tenant,
    check_middleware,
    check_secrets,
    check_hosts,
)


def _options() -> Options | None:
    try:
        return read_options()
    except ImproperlyConfigured:
        return None  # which is E001


def _told(kind: Callable[..., CheckMessage], problem: Problem, number: str) -> CheckMessage:
    lines = [line for line in (problem.excerpt, problem.hint) if line]
    told = replace(problem, excerpt="", hint="", site=None)
    return kind(str(told), hint="\n".join(lines) or None, obj=problem.site, id=number)


def _position(wanted: str) -> int | None:
    """Return where a class, or one that is derived from it, stands in MIDDLEWARE."""
    for position, path in enumerate(settings.MIDDLEWARE):
        if wanted in _lineage(path):
            return position
    return None


def _lineage(path: str) -> list[str]:
    try:
        found = import_string(path)
    except ImportError:
        return []  # Django says so itself
    return [f"{each.__module__}.{each.__qualname__}" for each in getattr(found, "__mro__", ())]


def _literals(said: object) -> Iterator[object]:
    """Find secrets that are said as text: `{"literal": ...}`, at any depth."""
    if isinstance(said, Mapping):
        if set(said) == {"literal"}:
            yield said
        for value in said.values():
            yield from _literals(value)
    elif isinstance(said, (list, tuple)):
        for value in said:
            yield from _literals(value)


_OURS = "tenantry.integrations.django.middleware.TenantryMiddleware"
_THEIRS = "django.contrib.auth.middleware.AuthenticationMiddleware"
_NO_MIDDLEWARE = f"{SETTING}['tenant'] is said, but no request has a client of its tenant"
_TOO_EARLY = "TenantryMiddleware stands before AuthenticationMiddleware in MIDDLEWARE"
_LITERAL = f"{SETTING} holds a secret as text, which `diffsettings` and debug pages would show"
_ANY_HOST = "subdomain() takes the tenant from the host, and ALLOWED_HOSTS allows every host"
