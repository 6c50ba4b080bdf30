"""Whose request is it? What the request says counts where somebody authorized it."""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException

from tenantry import ClientRegistry
from tenantry.integrations.fastapi import (
    ClaimedTenant,
    TenantName,
    claim,
    install,
    path,
    subdomain,
    trusted_header,
)

REFUSED = (403, "The tenant may not be used.")
NAMELESS = (400, "The request names no tenant.")


@dataclass
class User:
    tenant: str | None


async def current_user(x_user: Annotated[str, Header()] = "acme") -> User:
    return User(x_user or None)


async def may_act(tenant: ClaimedTenant, user: Annotated[User, Depends(current_user)]) -> bool:
    return tenant == user.tenant


@pytest.fixture
def asked(serve: Any, registry: ClientRegistry) -> Any:
    """Serve an application with a resolver, and say what it answers at `/t/{tenant}` and `/`."""

    def ask(resolver: Any) -> Any:
        app = FastAPI()

        @app.get("/")
        @app.get("/t/{tenant}")
        async def endpoint(name: TenantName) -> str:
            return name

        install(app, registry, tenant=resolver)
        served = serve(app)

        def answer(path: str = "/", **headers: str) -> Any:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            reply = served.get(path, headers=sent)
            body = reply.json()
            return body if reply.status_code == 200 else (reply.status_code, body["detail"])

        answer.served = served  # type: ignore[attr-defined]
        return answer

    return ask


def test_claim_of_an_object(asked: Any) -> None:
    """The name is an attribute of what authentication returned."""
    answer = asked(claim(current_user, "tenant"))
    assert "globex" == answer(X_User="globex")
    assert NAMELESS == answer(X_User="")


def test_claim_of_a_mapping(asked: Any) -> None:
    """The name is a key of what authentication returned; none that is there names no tenant."""
    tokens: dict[str, dict[str, str]] = {"a": {"tid": "acme"}, "b": {}}

    def token(x_token: Annotated[str, Header()]) -> dict[str, str] | None:
        return tokens.get(x_token)

    answer = asked(claim(token, "tid"))
    assert "acme" == answer(X_Token="a")
    assert NAMELESS == answer(X_Token="b")
    assert NAMELESS == answer(X_Token="nobody")


def test_claim_by_a_function(asked: Any) -> None:
    """A function takes the name out of what authentication returned."""
    answer = asked(claim(current_user, lambda user: user.tenant.removeprefix("t-")))
    assert "acme" == answer(X_User="t-acme")


def test_misspelt_claim(asked: Any) -> None:
    """An attribute that what was returned does not have is the application's mistake."""
    answer = asked(claim(current_user, "tennant"))
    assert "'User' object has no attribute 'tennant'" in answer.served.mistake("/")


@pytest.mark.parametrize("resolver", [trusted_header, subdomain, path])
def test_authorize_is_required(resolver: Any) -> None:
    """Nobody is believed without `authorize`, and whoever forgets it is shown how to write it."""
    with pytest.raises(TypeError, match=r"anybody can say anything: pass authorize=") as caught:
        resolver("tenant")
    assert "ClaimedTenant" in str(caught.value)


def test_header(asked: Any) -> None:
    """A header names the tenant where the caller may act for it."""
    answer = asked(trusted_header("X-Tenant", authorize=may_act))
    assert "acme" == answer(X_Tenant="acme", X_User="acme")
    assert REFUSED == answer(X_Tenant="acme", X_User="globex")
    assert NAMELESS == answer(X_Tenant="")
    assert NAMELESS == answer()


async def test_header_sent_twice(registry: ClientRegistry) -> None:
    """Two headers are no name: who authorized the one might be served the other."""
    app, sent = FastAPI(), []
    install(app, registry, tenant=trusted_header("X-Tenant", authorize=lambda: True))

    @app.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    twice = [(b"x-tenant", b"acme"), (b"x-tenant", b"globex")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": twice}
    await app(scope, receive, send)

    assert 400 == sent[0]["status"]


def test_subdomain(asked: Any) -> None:
    """One label before the domain names the tenant, whatever its case and the port."""
    answer = asked(subdomain("example.com", authorize=may_act))
    assert "acme" == answer(Host="acme.example.com")
    assert "acme" == answer(Host="ACME.Example.com:8000")
    assert REFUSED == answer(Host="globex.example.com")
    for host in ("example.com", "a.acme.example.com", "acme.example.org", "acmeexample.com", "x"):
        assert NAMELESS == answer(Host=host)


def test_path(asked: Any) -> None:
    """A parameter of the path names the tenant."""
    answer = asked(path("tenant", authorize=may_act))
    assert "acme" == answer("/t/acme")
    assert REFUSED == answer("/t/globex")


def test_path_of_a_mount(serve: Any, registry: ClientRegistry) -> None:
    """The parameter may stand where an application is mounted, or a router included."""
    app, inner, router = FastAPI(), FastAPI(), APIRouter()

    @router.get("/ask")
    async def endpoint(name: TenantName) -> str:
        return name

    inner.include_router(router)
    app.include_router(router, prefix="/r/{tenant}")
    app.mount("/m/{tenant}", inner)
    install(app, registry, tenant=path("tenant", authorize=may_act))
    served = serve(app)

    assert "acme" == served.json("/r/acme/ask")
    assert "acme" == served.json("/m/acme/ask")
    assert 403 == served.get("/m/globex/ask").status_code


def test_unauthorized_learn_nothing(asked: Any) -> None:
    """Who may not act for a tenant is told the same whether it is there or not."""
    answer = asked(trusted_header("X-Tenant", authorize=may_act))
    assert REFUSED == answer(X_Tenant="globex") == answer(X_Tenant="nobody")


def test_authorize_says_no_itself(asked: Any) -> None:
    """A dependency that authorizes may answer for itself, and need not be asynchronous."""

    def may_act_or_not(tenant: ClaimedTenant) -> bool:
        raise HTTPException(418, f"not {tenant}")

    answer = asked(trusted_header("X-Tenant", authorize=may_act_or_not))
    assert (418, "not acme") == answer(X_Tenant="acme")


@pytest.mark.parametrize("answer", [None, "yes", 1])
def test_authorize_has_to_answer(asked: Any, answer: object) -> None:
    """Nothing but True lets anybody in, and what is neither True nor False is a mistake."""
    asks = asked(trusted_header("X-User", authorize=lambda: answer))
    reply = asks.served.get("/", headers={"X-User": "acme"})
    assert 500 == reply.status_code
    assert "has to return True or False" in str(asks.served.mistakes.get(timeout=30))


def test_claimed_tenant_elsewhere(asked: Any) -> None:
    """An unauthorized name is for `authorize` alone."""

    def resolver(tenant: ClaimedTenant) -> str:
        return tenant

    told = asked(resolver).served.mistake("/")
    assert "ClaimedTenant is for the dependency that is given as `authorize=`" in told
