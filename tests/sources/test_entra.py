from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.identity import ClientSecretCredential
from pydantic import ValidationError

from tenantry.errors import CredentialUnavailableError, Failure
from tenantry.settings import References
from tenantry.sources import kinds
from tenantry.sources.entra import PUBLIC_CLOUD, SCOPE, EntraSettings, EntraSource
from tenantry.testing import EntraServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.sources.conftest import Bench

SECRET = "client-secret-0123456789"
ASSERTION = "assertion-0123456789"
TOKEN: dict[str, Any] = {"entra": {}}


@pytest.fixture(scope="module")
def running() -> Iterator[EntraServer]:
    with EntraServer() as server:
        yield server


@pytest.fixture
def entra(running: EntraServer) -> Iterator[EntraServer]:
    running.register_app("app", secret=SECRET, federated_token=ASSERTION)
    yield running
    running.outage(False)
    running.slow(0)
    running.token_lifetime, running.refresh_in = 3600, None


@pytest.fixture
def said(entra: EntraServer) -> dict[str, Any]:
    secret = {
        "directory_id": entra.directory_id,
        "client_id": "app",
        "client_secret": {"env": "SECRET"},
    }
    return {
        "auth": {"client_secret": secret},
        "authority": entra.authority,
        "tls": {"ca": str(entra.ca_file)},
    }


@pytest.fixture
def bench(opened: Callable[..., Bench], said: dict[str, Any]) -> Bench:
    return opened({"entra": said}, {"SECRET": SECRET})


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{ASSERTION}\n")
    return file


@pytest.fixture
def variables(entra: EntraServer, token_file: Path) -> dict[str, str]:
    return {
        "AZURE_TENANT_ID": entra.directory_id,
        "AZURE_CLIENT_ID": "app",
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
        "AZURE_AUTHORITY_HOST": entra.authority,
    }


@pytest.fixture
def workload(
    opened: Callable[..., Bench], entra: EntraServer
) -> Callable[[Mapping[str, str]], Bench]:
    """Return what opens a source of the workload identity that some variables describe."""

    def make(environ: Mapping[str, str]) -> Bench:
        tls = {"ca": str(entra.ca_file)}
        return opened({"entra": {"auth": "workload_identity", "tls": tls}}, environ)

    return make


# -- tokens ---------------------------------------------------------------------------------------


def test_a_token_is_the_secret(entra: EntraServer, bench: Bench) -> None:
    """What Entra ID issues for Azure OpenAI is the value of the reference."""
    assert entra.accepts(bench.value(TOKEN))
    assert f"entra {SCOPE}" == str(bench.reference(TOKEN))
    assert SCOPE == entra.issued[-1].scope


def test_another_scope_can_be_named(entra: EntraServer, bench: Bench) -> None:
    """A reference may ask for a token of another service."""
    bench.fetch({"entra": "https://vault.azure.net/.default"})
    assert "https://vault.azure.net/.default" == entra.issued[-1].scope


def test_a_token_brings_its_end_and_the_wish_for_a_refresh(
    entra: EntraServer, bench: Bench
) -> None:
    """The lifetime and `refresh_in` that Entra ID says are those of the document."""
    entra.token_lifetime, entra.refresh_in = 4000, 1000
    document = bench.fetch(TOKEN)
    assert document.lifetime is not None
    assert document.refresh_in is not None
    assert 3900 < document.lifetime <= 4000
    assert 900 < document.refresh_in <= 1000
    entra.refresh_in = None
    assert None is bench.fetch(TOKEN).refresh_in


def test_each_fetch_asks_anew(entra: EntraServer, bench: Bench) -> None:
    """No cache of azure-identity answers in place of the issuer."""
    before = entra.count("token")
    assert bench.value(TOKEN) != bench.value(TOKEN)
    assert before + 2 == entra.count("token")


def test_a_changed_client_secret_is_used(entra: EntraServer, bench: Bench) -> None:
    """The secret is read at each fetch from where it is kept fresh."""
    entra.change_secret("app", "other")
    assert Failure.DENIED is bench.error(TOKEN).failure
    environ: Any = bench.secrets._environ
    environ["SECRET"] = "other"
    source = bench.secrets._source("entra").opened()
    assert isinstance(source, EntraSource)
    source._secrets[0].refresh()
    assert entra.accepts(bench.value(TOKEN))


# -- workload and managed identity ----------------------------------------------------------------


def test_a_pod_exchanges_its_token(
    entra: EntraServer,
    variables: dict[str, str],
    workload: Callable[[Mapping[str, str]], Bench],
) -> None:
    """Workload identity finds everything in the platform's variables, and needs no secret."""
    assert entra.accepts(workload(variables).value(TOKEN))


def test_a_replaced_token_file_is_read(
    entra: EntraServer,
    variables: dict[str, str],
    workload: Callable[[Mapping[str, str]], Bench],
    token_file: Path,
) -> None:
    """Kubernetes replaces the token every hour: the next fetch sends the new one."""
    bench = workload(variables)
    bench.fetch(TOKEN)
    token_file.write_text("next")
    entra.register_app("app", federated_token="next")
    assert entra.accepts(bench.value(TOKEN))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("AZURE_TENANT_ID", "directory_id"),
        ("AZURE_CLIENT_ID", "client_id"),
        ("AZURE_FEDERATED_TOKEN_FILE", "token_file"),
    ],
)
def test_a_missing_variable_is_named(
    variables: dict[str, str],
    workload: Callable[[Mapping[str, str]], Bench],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    key: str,
) -> None:
    """Without one of the variables the error names it, and the key that could stand for it."""
    monkeypatch.setenv(name, variables.pop(name))
    error = workload(variables).error(TOKEN)
    assert (Failure.DENIED, f"variable {name} is not set") == (error.failure, error.reason)
    assert f"`{key}`" in error.hint


def test_settings_stand_for_variables(
    entra: EntraServer, opened: Callable[..., Bench], token_file: Path
) -> None:
    """Each of the three may be said in the configuration instead."""
    identity = {
        "directory_id": entra.directory_id,
        "client_id": "app",
        "token_file": str(token_file),
    }
    said = {
        "auth": {"workload_identity": identity},
        "authority": entra.authority,
        "tls": {"ca": str(entra.ca_file)},
    }
    assert entra.accepts(opened({"entra": said}).value(TOKEN))


def test_an_unreadable_token_file_is_named(
    variables: dict[str, str],
    workload: Callable[[Mapping[str, str]], Bench],
    token_file: Path,
) -> None:
    """A token that is not there, or not yet, is a transient failure with the file's name."""
    token_file.unlink()
    error = workload(variables).error(TOKEN)
    assert Failure.TRANSIENT is error.failure
    assert f"token file {token_file} cannot be read: No such file" in str(error)


@pytest.mark.parametrize("host", ["app_service", "imds"])
def test_a_machine_has_its_own_identity(
    entra: EntraServer, opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, host: Any
) -> None:
    """Managed identity works at App Service and on virtual machines, by default or by client id."""
    for name, value in entra.environment(host).items():
        monkeypatch.setenv(name, value)
    own = entra.managed_identity()
    assert entra.accepts(opened({"entra": {"auth": "managed_identity"}}).value(TOKEN))
    assert own == entra.issued[-1].client_id
    entra.managed_identity("user-assigned")
    chosen = {"managed_identity": {"client_id": "user-assigned"}}
    assert entra.accepts(opened({"entra": {"auth": chosen}}).value(TOKEN))
    assert "user-assigned" == entra.issued[-1].client_id


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_wrong_secret_is_denied_with_its_code(
    opened: Callable[..., Bench],
    said: dict[str, Any],
    shown: Callable[[BaseException, str], bool],
) -> None:
    """Entra's own code says why; the secret is in no text and no log."""
    bench = opened({"entra": said}, {"SECRET": "wrong-0123456789"})
    error = bench.error(TOKEN)
    assert Failure.DENIED is error.failure
    assert "Entra ID refused the client secret with AADSTS7000215" in str(error)
    assert not shown(error, "wrong-0123456789")


def test_a_wrong_assertion_is_denied_with_its_code(
    variables: dict[str, str],
    workload: Callable[[Mapping[str, str]], Bench],
    token_file: Path,
    shown: Callable[[BaseException, str], bool],
) -> None:
    """An assertion that is not accepted is named by the code, and not quoted."""
    token_file.write_text("wrong-0123456789")
    error = workload(variables).error(TOKEN)
    assert Failure.DENIED is error.failure
    assert "Entra ID refused the workload identity with AADSTS700213" in str(error)
    assert not shown(error, "wrong-0123456789")


def test_an_unknown_directory_is_denied(opened: Callable[..., Bench], said: dict[str, Any]) -> None:
    """A code that azure-identity hides in the context of a cause is found."""
    said["auth"]["client_secret"]["directory_id"] = "11111111-2222-3333-4444-555555555555"
    error = opened({"entra": said}, {"SECRET": SECRET}).error(TOKEN)
    assert Failure.DENIED is error.failure
    assert "AADSTS90002" in str(error)


def test_a_throttled_login_passes(entra: EntraServer, bench: Bench) -> None:
    """A code that only says that the service is busy is transient."""
    entra.fail_next(429, error="AADSTS90055: throttled", kind="token")
    error = bench.error(TOKEN)
    assert Failure.TRANSIENT is error.failure
    assert "AADSTS90055" in str(error)


@pytest.mark.parametrize("refuse", [False, True])
def test_an_outage_passes(entra: EntraServer, bench: Bench, refuse: bool) -> None:
    """With Entra ID down or unreachable a held token serves, and the next fetch finds it again."""
    credential = bench.credential(TOKEN)
    held = credential.get()
    entra.outage(True, refuse=refuse)
    error = bench.error(TOKEN)
    assert Failure.TRANSIENT is error.failure
    assert "no token for the client secret (check the network and the identity)" == str(error)
    with pytest.raises(CredentialUnavailableError):
        credential.refresh()
    assert held is credential.get()
    entra.outage(False)
    credential.refresh()
    assert held != credential.get()


def test_an_issuer_that_hangs_is_left_in_time(
    entra: EntraServer, opened: Callable[..., Bench], said: dict[str, Any]
) -> None:
    """The time limit of the source bounds a fetch."""
    entra.slow(60, times=1)
    error = opened({"entra": {**said, "timeout": "50ms"}}, {"SECRET": SECRET}).error(TOKEN)
    assert Failure.TRANSIENT is error.failure


def test_an_untrusted_authority_gets_no_secret(
    entra: EntraServer, opened: Callable[..., Bench], said: dict[str, Any]
) -> None:
    """Without the private CA nothing is sent."""
    before = len(entra.requests)
    del said["tls"]
    assert Failure.TRANSIENT is opened({"entra": said}, {"SECRET": SECRET}).error(TOKEN).failure
    assert before == len(entra.requests)


def test_a_machine_without_identity_passes(
    entra: EntraServer, opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway's page where a managed identity should answer is transient."""
    for name, value in entra.environment().items():
        monkeypatch.setenv(name, value)
    entra.fail_next(503)
    error = opened({"entra": {"auth": "managed_identity"}}).error(TOKEN)
    assert Failure.TRANSIENT is error.failure
    assert "no token for the managed identity" in str(error)


def test_a_client_secret_that_cannot_be_had_is_named(
    opened: Callable[..., Bench], said: dict[str, Any]
) -> None:
    """Where the source's own secret is missing, the error says which, and when it is tried next."""
    error = opened({"entra": said}).error(TOKEN)
    assert "client_secret from env SECRET: variable SECRET is not set" in str(error)
    assert error.retry_after is not None


def test_a_token_that_is_expired_on_arrival_is_a_failure(entra: EntraServer, bench: Bench) -> None:
    """A clock that is wrong, here or there, is hinted at."""
    entra.token_lifetime = -10
    with pytest.raises(CredentialUnavailableError, match="already expired"):
        bench.credential(TOKEN).get()


# -- settings -------------------------------------------------------------------------------------


def test_the_environment_does_not_choose_the_authority(
    opened: Callable[..., Bench], said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process's own variable does not lead elsewhere where the registry has another environ."""
    made: list[str] = []
    original = ClientSecretCredential.__init__

    def note(self: Any, *args: Any, **options: Any) -> None:
        made.append(options["authority"])
        original(self, *args, **(options | {"authority": "https://127.0.0.1:1"}))

    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://elsewhere.test")
    monkeypatch.setattr(ClientSecretCredential, "__init__", note)
    del said["authority"]
    opened({"entra": {**said, "timeout": "50ms"}}, {"SECRET": SECRET}).error(TOKEN)
    assert [PUBLIC_CLOUD] == made


@pytest.mark.parametrize(
    "auth",
    [
        {},
        "no_such_way",
        {"managed_identity": {}, "workload_identity": {}},
        {"client_secret": {}},
        {"client_secret": None},
        "certificate",
    ],
)
def test_there_is_exactly_one_way_to_log_in(auth: Any) -> None:
    """No way, two ways, an unknown and an incomplete one are configuration errors."""
    with pytest.raises(ValidationError):
        EntraSettings.model_validate({"auth": auth}, context=References(kinds()))
