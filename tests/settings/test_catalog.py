from __future__ import annotations

import pytest
from pydantic import ValidationError

from tenantry.settings import CatalogSettings, References, Settings, SqliteSettings
from tenantry.sources import kinds

REFERENCES = References(kinds())


def test_an_engine() -> None:
    """An engine says where it is; how it is read has defaults."""
    said = {"postgres": {"dsn": {"env": "DATABASE_URL"}, "poll": "500ms", "notify": True}}
    read = CatalogSettings.model_validate(said, context=REFERENCES)
    assert read.postgres is not None
    assert ("env DATABASE_URL", 0.5, 10_000, True) == (
        str(read.postgres.dsn),
        read.postgres.poll,
        read.postgres.cache,
        read.postgres.notify,
    )
    assert read.sqlite is None


@pytest.mark.parametrize("said", [{}, {"path": "x", "poll": 0}, {"path": "x", "cache": 0}])
def test_what_an_engine_may_not_say(said: dict[str, object]) -> None:
    """A file is needed, and limits are more than nothing."""
    with pytest.raises(ValidationError):
        SqliteSettings.model_validate(said)


def test_it_is_written_down_unread() -> None:
    """A whole configuration holds the engine as it is written, and does not show it."""
    written = {"postgres": {"dsn": {"literal": "planted"}}}
    settings = Settings(catalog=written)
    assert written == settings.catalog
    assert "planted" not in repr(settings)
    assert "files" == Settings().catalog
