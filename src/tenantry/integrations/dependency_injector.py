"""tenantry in a container of dependency-injector.

    class Application(containers.DeclarativeContainer):
        openai = providers.Container(TenantryContainer, config="config/tenants.yaml")
        summaries = providers.Factory(Summaries, client_for=openai.client.provider)

    application = Application()
    application.openai.client(tenant="acme", timeout=5)     # a clone, as the registry hands it out
    application.shutdown_resources()                        # closes the registry

Objects that live as long as the application are given `client.provider` and call it for each piece
of work; short-lived ones are given the client, that of the current tenant.

Functions are wired with `inject`; in FastAPI a marker is `AsyncProvide`, which costs no thread:

    @api.post("/summaries")
    @inject
    async def summarise(
        client: Annotated[AsyncOpenAI, Depends(AsyncProvide[Application.openai.async_client])],
    ) -> str: ...
"""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from dependency_injector import containers, providers, wiring

from tenantry.errors import RegistryClosedError
from tenantry.registry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AsyncOpenAI, OpenAI
    from typing_extensions import Unpack

    from tenantry.clients import ClientOptions

Value = TypeVar("Value")
Function = TypeVar("Function", bound="Callable[..., Any]")


class ClientFor(Protocol):
    """What a service calls for a client: the container's `client`, or a registry's."""

    def __call__(
        self,
        tenant: str | None = None,
        *,
        endpoint: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> OpenAI:
        """Return the tenant's client; see `ClientRegistry.client`."""
        raise NotImplementedError


class AsyncClientFor(Protocol):
    """What a service calls for an async client: the container's `async_client`, or a registry's."""

    def __call__(
        self,
        tenant: str | None = None,
        *,
        endpoint: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> AsyncOpenAI:
        """Return the tenant's client; see `ClientRegistry.async_client`."""
        raise NotImplementedError


# -- providers ------------------------------------------------------------------------------------


class _Given(providers.Object[Any]):
    """What the application said; stays itself whatever is put in its place.

    dependency-injector turns a provider, and all that depends on it, into one of Futures for good
    as soon as it provides a Future once.
    """

    def __init__(self, provides: Any = None) -> None:
        super().__init__(provides)
        self.disable_async_mode()


class _Plain(providers.Callable[Value]):
    """Calls a function with what its arguments provide, and never makes a Future of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.disable_async_mode()


class RegistryProvider(_Plain[ClientRegistry]):
    """Opens one registry, whichever thread asks first, and does not open another unasked.

    Neither a Singleton nor a Resource: those build twice when threads ask at once, are reset by
    `reset_singletons()` without being closed, and closed by `Closing[...]` under other requests.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.RLock()
        self._held: ClientRegistry | None = None
        self._was_shut = False

    @property
    def opened(self) -> bool:
        """Whether it holds a registry."""
        return self._held is not None

    def open(self) -> ClientRegistry:
        """Return the registry; a new one after `shut`."""
        with self._lock:
            self._was_shut = False
            if self._held is not None and self._held.closed:  # by hand
                self._held = None
            return self()

    def shut(self) -> None:
        """Close what was opened, however it came to be."""
        with self._lock:
            held, self._held = self._held, None
            self._was_shut = self._was_shut or held is not None
        if held is not None:
            held.close()

    def _provide(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ClientRegistry:
        return self._held or self._open_once(args, kwargs)

    def _open_once(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ClientRegistry:
        with self._lock:
            if self._was_shut:
                raise _ShutDownError
            held = self._held
            if held is None:
                held = super()._provide(args, kwargs)  # type: ignore[misc]  # not in the stubs
                self._held = held
            return held


class ClientProvider(_Plain["OpenAI"]):
    """Hands out sync clients."""

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]  # narrower than "anything", which is the point
            self,
            tenant: str | None = None,
            *,
            endpoint: str | None = None,
            **options: Unpack[ClientOptions],
        ) -> OpenAI: ...


class AsyncClientProvider(_Plain["AsyncOpenAI"]):
    """Hands out async clients."""

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]  # narrower than "anything", which is the point
            self,
            tenant: str | None = None,
            *,
            endpoint: str | None = None,
            **options: Unpack[ClientOptions],
        ) -> AsyncOpenAI: ...


class Lifecycle(providers.Resource[ClientRegistry]):
    """Opens the registry with `init_resources()`, closes it with `shutdown_resources()`.

    It is as open as the registry is, whoever opened that. A Resource of the application that takes
    it as an argument gets the registry, and is shut down before it.
    """

    @property
    def initialized(self) -> bool:
        return self._registry.opened

    def shutdown(self) -> None:
        self._registry.shut()

    def _provide(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ClientRegistry:
        del args, kwargs
        return self._registry.open()

    @property
    def _registry(self) -> RegistryProvider:
        return cast("RegistryProvider", self.provides)


class _ShutDownError(RegistryClosedError):
    def message(self) -> str:
        return (
            "this container's registry was closed by shutdown_resources():"
            " call init_resources() to open a new one"
        )


def _opened(config: Any, environ: Any) -> ClientRegistry:
    return ClientRegistry.open(_settled(config, "`config`"), environ=_settled(environ, "`environ`"))


def _client(registry: ClientRegistry, *args: Any, **options: Any) -> OpenAI:
    # Not ClientRegistry.client: a test may put something else in the registry's place.
    return _settled(registry, "`registry`").client(*args, **options)


def _async_client(registry: ClientRegistry, *args: Any, **options: Any) -> AsyncOpenAI:
    return _settled(registry, "`registry`").async_client(*args, **options)


def _settled(value: Value, what: str) -> Value:
    """Return the value, unless it is one that is still to come.

    Raises:
        TypeError: it comes from an async provider.
    """
    if isinstance(value, ClientRegistry) or not inspect.isawaitable(value):
        return value
    if inspect.iscoroutine(value):
        value.close()
    raise TypeError(
        f"{what} of a TenantryContainer comes from an async provider, which would make a Future of"
        f" every client: await it first, and override {what} with the result"
    )


class TenantryContainer(containers.DeclarativeContainer):
    """The registry, and the clients that it hands out, as providers.

    `config` and `environ` are what `ClientRegistry.open` takes. `client(tenant=..., **options)` and
    `async_client(...)` hand out clients as the registry does. It opens with `init_resources()` or
    when it is first used; `shutdown_resources()` closes it, and from then on it says so until
    `init_resources()` is called again.
    """

    config: providers.Provider[Any] = _Given(None)
    environ: providers.Provider[Any] = _Given(None)

    registry = RegistryProvider(_opened, config, environ)
    client = ClientProvider(_client, registry)
    async_client = AsyncClientProvider(_async_client, registry)

    lifecycle = Lifecycle(registry)


# -- wiring ---------------------------------------------------------------------------------------

if TYPE_CHECKING:
    AsyncProvide = wiring.Provide
else:

    class AsyncProvide(wiring.Provide):
        """`Provide` for FastAPI's `Depends`, which takes a thread for what is not async."""

        async def __call__(self) -> AsyncProvide:
            return self

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"{name!r} was asked of a marker, AsyncProvide[...], that nothing has replaced:"
                " decorate the function with tenantry's `inject`, below the route's decorator,"
                " and wire its module with container.wire(modules=[...])"
            )


def inject(function: Function) -> Function:
    """Do what dependency-injector's `inject` does, for postponed annotations too.

    Under `from __future__ import annotations` that one sees text in place of markers, and FastAPI
    passes the marker itself.

    Raises:
        TypeError: the annotations name something that cannot be found when the module is imported.
    """
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as error:
        raise TypeError(
            f"the annotations of {function.__qualname__}() cannot be read: {error};"
            " import it outside of `if TYPE_CHECKING:`, and define it at the module's top"
        ) from error
    function.__signature__ = signature  # type: ignore[attr-defined]  # what inspect reads first
    return wiring.inject(function)
