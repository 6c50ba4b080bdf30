"""A reference to one version of a document, made of a reference to its newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from tenantry.errors import Failure, SourceError
from tenantry.pinning import without_versions

if TYPE_CHECKING:
    from tenantry.settings import ReferenceOptions


def at_version(options: ReferenceOptions, version: str) -> ReferenceOptions:
    """Return what a reference says, but for the version that it means.

    Raises:
        SourceError: such references have no `version`, or it cannot be this one.
    """
    if "version" not in type(options).model_fields:
        raise without_versions(version)
    said = {name: getattr(options, name) for name in options.model_fields_set}
    try:
        return type(options).model_validate({**said, "version": version})
    except ValidationError:
        reason = f"{version!r} cannot be a version of {options}"
        raise SourceError(reason, failure=Failure.DENIED) from None
