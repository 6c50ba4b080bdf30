from __future__ import annotations

import pytest

from tenantry.testing.openai.routes import Route, Surface, find_route


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/chat/completions", Route(Surface.OPENAI, "chat/completions")),
        ("/v1/models", Route(Surface.OPENAI, "models")),
        ("/v1/models/gpt-4o", Route(Surface.OPENAI, "models/{id}", "gpt-4o")),
        ("/v1/files/f1/content", Route(Surface.OPENAI, "files/{id}/content", "f1")),
        ("/v1/organization/projects", Route(Surface.OPENAI, "organization/projects")),
        ("/openai/v1/responses", Route(Surface.AZURE_V1, "responses")),
        ("/openai/responses", Route(Surface.AZURE, "responses")),
        (
            "/openai/deployments/gpt%204/embeddings",
            Route(Surface.AZURE_DEPLOYMENT, "embeddings", deployment="gpt 4"),
        ),
        ("/oauth/token", Route(Surface.TOKEN, "oauth/token")),
    ],
)
def test_a_path_names_an_operation_of_one_api(path: str, route: Route) -> None:
    """Every path of the three APIs and of the token endpoint is understood."""
    assert route == find_route(path)


@pytest.mark.parametrize("prefix", ["/tenants/acme", "/v1", "/a/b/c", "/models"])
@pytest.mark.parametrize(
    "path", ["/v1/models", "/openai/v1/models", "/openai/models", "/oauth/token"]
)
def test_a_prefix_changes_nothing(prefix: str, path: str) -> None:
    """A path below any gateway prefix asks for the same as without it."""
    assert find_route(path) == find_route(prefix + path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v2/models",
        "/v1/chat/completions/",
        "/v1/chat/completions/x",
        "/v1/models/a/content",
        "/openai/chat/completions",
        "/openai/embeddings",
        "/openai/deployments/gpt/responses",
        "/openai/v1/organization/projects",
        "x/v1/models",
    ],
)
def test_what_no_api_offers_is_unknown(path: str) -> None:
    """A path that the real servers do not have has no route."""
    assert find_route(path) is None
