"""What a user is told of broken configurations: `data/broken` has each beside its text.

`NAME.yaml`, or the directory `NAME`, is read with the variables of `NAME.env`; `NAME.txt` is what
is told. Whatever has `planted` in it is a secret, and must not be told.
"""

from __future__ import annotations

import base64
import re
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

from tenantry.errors import ConfigError
from tenantry.loading import load
from tenantry.sources import kinds

BROKEN = Path(__file__).parent / "data" / "broken"
NAMES = sorted(path.stem for path in BROKEN.glob("*.txt"))


def written(name: str) -> Path:
    file = Path(f"{name}.yaml")
    return file if (BROKEN / file).exists() else Path(name)


def variables(name: str) -> dict[str, str]:
    file = BROKEN / f"{name}.env"
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)


def said(name: str) -> str:
    """Return everything that was written: the files, and the values of variables."""
    path = BROKEN / written(name)
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    texts = [file.read_text(errors="replace") for file in files]
    return "\n".join([*texts, *variables(name).values()])


@pytest.fixture
def error(name: str, monkeypatch: pytest.MonkeyPatch) -> ConfigError:
    monkeypatch.chdir(BROKEN)  # paths are told as they were given
    with pytest.raises(ConfigError) as caught:
        load(written(name), environ=variables(name), kinds=kinds())
    return caught.value


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told(name: str, error: ConfigError) -> None:
    """Each broken configuration is told in words that were read and found good."""
    assert (BROKEN / f"{name}.txt").read_text() == f"{error}\n"


@pytest.mark.parametrize("name", [name for name in NAMES if "planted" in said(name)])
def test_secrets_are_not_told(name: str, error: ConfigError) -> None:
    """A secret is in no text of the error, in no form."""
    shown = f"{error!s}{error!r}{error.problems!r}{error.args!r}"
    shown += "".join(traceback.format_exception(error))
    secrets = re.findall(r"[\w.-]*planted[\w-]*", said(name))
    encoded = [base64.b64encode(secret.encode()).decode() for secret in secrets]
    forms = [*secrets, *encoded, *(quote(form, safe="") for form in [*secrets, *encoded])]
    assert secrets
    assert [] == [form for form in forms if form.rstrip("=") in shown]


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_has_a_place(name: str, error: ConfigError) -> None:
    """Every problem is data, and says in which file or variable it is."""
    del name
    assert error.problems
    assert [] == [problem for problem in error.problems if problem.site is None]


def test_nothing_is_left_untold() -> None:
    """There are many broken configurations, and each has its text."""
    cases = {path.stem for path in BROKEN.iterdir()}
    assert cases == set(NAMES)
    assert len(NAMES) >= 40
