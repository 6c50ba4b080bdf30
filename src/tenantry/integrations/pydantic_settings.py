"""tenantry's configuration as one field of an application's own pydantic-settings.

    class AppSettings(BaseSettings):
        debug: bool = False
        tenantry: tenantry.Settings

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            files = TenantrySource(settings_cls, "config/tenants.yaml")
            return init_settings, env_settings, files

    registry = ClientRegistry.open(AppSettings().tenantry)

What sources before it say of the field lies over the files, what those behind it say fills gaps;
`TENANTRY_...` variables lie over everything when the registry opens.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading.environment import expander
from tenantry.loading.files import Reader, read_contents
from tenantry.loading.problems import found_by, with_excerpts, without_repeats
from tenantry.loading.values import Sited, overlaid, sited
from tenantry.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.fields import FieldInfo


class TenantrySource(PydanticBaseSettingsSource):
    """Reads tenantry's files into one field of an application's settings.

    Tenants are validated when a registry opens them, so that one's mistake does not stop the
    application; what is wrong with the text itself, or with anything but tenants, is told here.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        config: str | Path | Sequence[str | Path],
        *,
        field: str = "tenantry",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Look for files at `config` when the application's settings are made.

        Args:
            settings_cls: the application's settings.
            config: a file, a directory, or several of them.
            field: the field of the settings that is a `tenantry.Settings`.
            environ: the environment for `${NAME}`; `os.environ` by default.

        Raises:
            TypeError: where the settings have no such field.
        """
        super().__init__(settings_cls)
        if field not in settings_cls.model_fields:
            raise TypeError(f"{settings_cls.__name__} has no field {field!r} for tenantry's files")
        self._paths = [config] if isinstance(config, (str, Path)) else list(config)
        self._field = field
        self._environ = environ

    def __call__(self) -> dict[str, Any]:
        """Return the field's value: what the files say, each value with its place.

        Raises:
            ConfigError: with every problem that stands outside of tenants' own settings.
        """
        document = self._document()
        over = self.current_state.get(self._field)
        if isinstance(over, Mapping):
            document = overlaid(document, sited(over, Site(self.settings_cls.__name__)))
        return {self._field: document}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a field's value, its key, and whether it has to be parsed first: it has not."""
        del field
        return self().get(field_name), field_name, False

    def _document(self) -> Sited:
        problems: list[Problem] = []
        environ = os.environ if self._environ is None else self._environ
        reader = Reader(problems, expander(environ, problems))
        document = reader.read(read_contents(map(Path, self._paths)))
        for key in [key for key, value in document.items() if value is None]:
            document.take(key)
        try:
            Settings.model_validate(document)
        except ValidationError as error:
            problems += found_by(error, document, "", Settings)
        if problems:
            texts = {each.site.file: reader.lines(each.site.file) for each in problems if each.site}
            raise ConfigError(*without_repeats(with_excerpts(problems, texts)))
        return document
