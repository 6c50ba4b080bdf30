"""Every `connect` of a client's resources: the manager that it returns opens sealed WebSockets.

The SDK opens them with the `websockets` package, past its http client. Here that package is told
what to trust, which proxy to take, and to make its connections by a class whose handshake passes
the gate; see `websockets.py` and `handshakes.py`.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from openai import AsyncOpenAI

from tenantry.clients.websockets.seal import OPTIONS, Seal

if TYPE_CHECKING:
    from collections.abc import Callable

ClientClass = TypeVar("ClientClass", bound="type[Any]")

# Where a client opens WebSockets, and which resources below do; a test finds any other.
OPENING = {
    "beta": ("realtime", "responses"),
    "live": ("forks", "sideband"),
    "realtime": ("translations",),
    "responses": (),
}

_OPENS = "_connect_ws"  # private, and pinned by tests: what opens, and opens again, in one


def seals_websockets(client_class: ClientClass) -> ClientClass:
    """Decorate a class of sealed clients: every `connect` of its resources is sealed."""
    for name, below in OPENING.items():
        accessor = getattr(client_class, name, None)  # a cached property, where the SDK has it
        if accessor is not None:
            sealed = _sealed_accessor(accessor.func, below)
            sealed.__set_name__(client_class, name)
            setattr(client_class, name, sealed)
    return client_class


def _sealed_accessor(
    make: Callable[[Any], Any], below: tuple[str, ...]
) -> functools.cached_property[Any]:
    def sealed(client: Any) -> Any:
        # Sealed before anybody else can see it: threads may ask for it at once.
        resource = make(client)
        found: list[Any] = [getattr(resource, name, None) for name in below]
        for each in (resource, *found):
            if hasattr(each, "connect"):
                each.connect = _sealed_connect(client, each.connect)
        return resource

    return functools.cached_property(functools.update_wrapper(sealed, make))


def _sealed_connect(client: Any, connect: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(connect)

    @functools.wraps(connect)
    def sealed(*args: Any, **kwargs: Any) -> Any:
        said = signature.bind(*args, **kwargs)
        create = _async_connection if isinstance(client, AsyncOpenAI) else _connection
        seal = Seal(client, said.arguments.get(OPTIONS) or {}, create)
        said.arguments[OPTIONS] = seal.options
        manager = connect(*said.args, **said.kwargs)
        made_by_sdk: Any = type(manager)
        manager.__class__ = _sealed_manager(made_by_sdk)
        manager.seal = seal
        return manager

    return sealed


@functools.cache
def _sealed_manager(manager: Any) -> Any:
    """Return a subclass of what `connect` returns, that opens sealed connections."""
    enters, sealed = "__enter__", _opening
    if hasattr(manager, "__aenter__"):
        enters, sealed = "__aenter__", _opening_async
    # Without the private method a connection that is opened again is sealed by its handshake too,
    # but a 401 then takes one of the SDK's own attempts.
    opens = _OPENS if hasattr(manager, _OPENS) else enters
    body = {opens: sealed(getattr(manager, opens))}
    if opens == enters:
        body["enter"] = body[enters]
    return type(manager.__name__, (manager,), {"__module__": manager.__module__, **body})


def _opening(opens: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(opens)
    def sealed(manager: Any, *said: Any) -> Any:
        seal: Seal = manager.seal
        seal.check()
        seal.route(seal.connections.secrets())
        try:
            return opens(manager, *said)
        except Exception:
            if seal.again is None:
                raise
            return opens(manager, *said)
        finally:
            if (unused := seal.taken()) is not None:
                unused.close()

    return sealed


def _opening_async(opens: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(opens)
    async def sealed(manager: Any, *said: Any) -> Any:
        seal: Seal = manager.seal
        seal.check()
        seal.route(await seal.connections.secrets())
        try:
            return await opens(manager, *said)
        except Exception:
            if seal.again is None:
                raise
            return await opens(manager, *said)
        finally:
            if (unused := seal.taken()) is not None:
                await unused.close()

    return sealed


def _connection(seal: Seal, *args: Any, **options: Any) -> object:
    from tenantry.clients.websockets.handshakes import SealedConnection

    return SealedConnection(seal, *args, **options)


def _async_connection(seal: Seal, *args: Any, **options: Any) -> object:
    from tenantry.clients.websockets.handshakes import AsyncSealedConnection

    return AsyncSealedConnection(seal, *args, **options)
