from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenantry.errors import Problem, Site
from tenantry.loading.files import Reader, find_files, read_contents, signature
from tenantry.loading.values import AS_MAPPING

if TYPE_CHECKING:
    from tenantry.loading.values import Sited


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(*paths: Path) -> tuple[Sited, list[Problem]]:
    problems: list[Problem] = []
    return Reader(problems, lambda text, site: text).read(read_contents(paths)), problems


def good(*paths: Path) -> Sited:
    document, problems = read(*paths)
    assert [] == problems
    return document


def bad(*paths: Path) -> Problem:
    [problem] = read(*paths)[1]
    return problem


def test_find_one(tmp_path: Path) -> None:
    """A file is itself, whatever its name, and whether it is there or not."""
    assert [tmp_path / "any.conf"] == find_files(tmp_path / "any.conf")


def test_find_below(tmp_path: Path) -> None:
    """Below a directory every *.yaml and *.yml counts, sorted; hidden names do not."""
    for name in ["b.yaml", "a/z.yml", "a/b/c.yaml", "x.json", ".hid/x.yaml", ".x.yaml", "yaml"]:
        write(tmp_path / name, "")

    found = [str(path.relative_to(tmp_path)) for path in find_files(tmp_path)]

    assert ["a/b/c.yaml", "a/z.yml", "b.yaml"] == found


def test_find_in_config_map(tmp_path: Path) -> None:
    """A mounted ConfigMap is read once: links to files count, linked directories do not."""
    write(tmp_path / "..2024_10_21/acme.yaml", "tenants: {acme: {}}")
    (tmp_path / "..data").symlink_to("..2024_10_21")
    (tmp_path / "data").symlink_to("..2024_10_21")
    (tmp_path / "dir.yaml").symlink_to("..2024_10_21")
    (tmp_path / "acme.yaml").symlink_to("..data/acme.yaml")

    assert [tmp_path / "acme.yaml"] == find_files(tmp_path)
    assert {"tenants": {"acme": {}}} == good(tmp_path)


def test_find_through_given_link(tmp_path: Path) -> None:
    """A linked or hidden directory that was asked for by name is read."""
    write(tmp_path / ".real/acme.yaml", "")
    (tmp_path / "link").symlink_to(".real")

    assert [tmp_path / "link/acme.yaml"] == find_files(tmp_path / "link")
    assert [tmp_path / ".real/acme.yaml"] == find_files(tmp_path / ".real")


def test_find_regular_files(tmp_path: Path) -> None:
    """A pipe or a directory is no file of a configuration, whatever its name."""
    os.mkfifo(tmp_path / "pipe.yaml")
    write(tmp_path / "dir.yaml/acme.yml", "")

    assert [tmp_path / "dir.yaml/acme.yml"] == find_files(tmp_path)


def test_broken_link(tmp_path: Path) -> None:
    """A link to nothing is not passed over in silence."""
    (tmp_path / "acme.yaml").symlink_to("nowhere.yaml")

    assert Problem("there is no such file", site=Site(str(tmp_path / "acme.yaml"))) == bad(tmp_path)


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is not there is a problem with its name."""
    file = tmp_path / "acme.yaml"

    assert Problem("there is no such file", site=Site(str(file))) == bad(file)


def test_directory_without_files(tmp_path: Path) -> None:
    """A directory without YAML is a problem: its mount may be missing."""
    message = "no *.yaml or *.yml file below this directory"

    assert Problem(message, site=Site(str(tmp_path))) == bad(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/acme.yaml"])
def test_unreadable(name: str) -> None:
    """What the system refuses is told in its own words."""
    assert Problem("cannot be read: File name too long", site=Site(name)) == bad(Path(name))


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that is there and does not open is told in the system's words too."""
    file = tmp_path / "acme.yaml"
    file.symlink_to(file.name)

    message = "cannot be read: Too many levels of symbolic links"
    assert Problem(message, site=Site(str(file))) == bad(file)


def test_not_utf_8(tmp_path: Path) -> None:
    """A byte that is not UTF-8 is shown with its place."""
    file = tmp_path / "acme.yaml"
    file.write_bytes("tenants:\n  ä: \xe4".encode("latin-1").replace(b"\xe4:", "ä:".encode()))

    message = "is not UTF-8: this byte cannot be read"
    assert Problem(message, site=Site(str(file), 2, 6)) == bad(file)


def test_byte_order_mark(tmp_path: Path) -> None:
    """A byte order mark is no part of the first key."""
    file = tmp_path / "acme.yaml"
    file.write_bytes(b"\xef\xbb\xbftenants: {acme: {}}\r\n")

    assert {"tenants": {"acme": {}}} == good(file)


@pytest.mark.parametrize("text", ["[]", "text", "5"])
def test_not_a_mapping(tmp_path: Path, text: str) -> None:
    """A configuration is a mapping."""
    file = write(tmp_path / "acme.yaml", text)

    message = "a configuration is a mapping with keys such as `tenants`"
    assert Problem(message, site=Site(str(file), 1, 1)) == bad(file)


def test_directory(tmp_path: Path) -> None:
    """Files of a directory are united; tenantry.yaml may hold everything, at any depth."""
    write(tmp_path / "base/tenantry.yaml", "defaults: {max_retries: 1}\ntenants: {acme: {}}")
    write(tmp_path / "eu.yaml", "tenants: {globex: {}}\nx-note: {}")
    write(tmp_path / "later.yaml", "tenants:")
    write(tmp_path / "empty.yaml", "")

    assert {
        "defaults": {"max_retries": 1},
        "tenants": {"acme": {}, "globex": {}},
    } == good(tmp_path)


def test_tenants_only(tmp_path: Path) -> None:
    """Other files of a directory hold tenants and nothing else."""
    file = write(tmp_path / "eu.yaml", "tenants: {acme: {}}\ndefaults: {}")

    message = "'defaults' stands in tenantry.yaml; other files hold `tenants` only"
    assert Problem(message, "defaults", Site(str(file), 2, 1)) == bad(tmp_path)


def test_named_file_holds_everything(tmp_path: Path) -> None:
    """A file that was asked for by name holds everything, whatever its name."""
    assert {"defaults": {}} == good(write(tmp_path / "eu.yaml", "defaults: {}"))


def test_tenants_are_a_mapping(tmp_path: Path) -> None:
    """Tenants that are no mapping are a problem in every file, before and after others."""
    write(tmp_path / "a.yaml", "tenants: [acme]")
    write(tmp_path / "b.yaml", "tenants: {acme: {}}")
    write(tmp_path / "c.yaml", "tenants: 5")

    document, problems = read(tmp_path)

    assert {"tenants": {"acme": {}}} == document
    assert [
        Problem("is not a mapping", "tenants", Site(str(tmp_path / "a.yaml"), 1, 1), AS_MAPPING),
        Problem("is not a mapping", "tenants", Site(str(tmp_path / "c.yaml"), 1, 1), AS_MAPPING),
    ] == problems


def test_several_paths(tmp_path: Path) -> None:
    """Several paths are a union, each key with its own file."""
    one = write(tmp_path / "one.yaml", "defaults: {}\ntenants: {acme: {}}")
    two = write(tmp_path / "two/eu.yaml", "tenants: {globex: {}}")

    document = good(one, two.parent)

    assert {"defaults": {}, "tenants": {"acme": {}, "globex": {}}} == document
    assert Site(str(two), 1, 11) == document["tenants"].sites["globex"]


def test_said_in_two_files(tmp_path: Path) -> None:
    """A tenant or a key that two files say is a problem that names both places."""
    one = write(tmp_path / "one.yaml", "defaults: {}\ntenants:\n  acme: {}\n")
    two = write(tmp_path / "two.yaml", "tenants:\n  acme: {}\ndefaults: {}\n")

    assert [
        Problem(
            f"tenant 'acme' was said before, at {one}:3:3", "tenants.acme", Site(str(two), 2, 3)
        ),
        Problem(f"'defaults' was said before, at {one}:1:1", "defaults", Site(str(two), 3, 1)),
    ] == read(one, two)[1]


def test_what_the_reader_remembers(tmp_path: Path) -> None:
    """The reader remembers every file, and the lines of those that it could read."""
    file = write(tmp_path / "acme.yaml", "tenants:\n  acme: {}\n")
    reader = Reader([], lambda text, site: text)
    reader.read(read_contents([file, tmp_path / "missing.yaml"]))

    assert [file, tmp_path / "missing.yaml"] == reader.files
    assert ["tenants:", "  acme: {}"] == reader.lines(str(file))
    assert [] == reader.lines("env TENANTRY_X")


def test_contents_are_what_was_read(tmp_path: Path) -> None:
    """Contents are equal, and hash alike, while no byte, name or mistake differs."""
    file = write(tmp_path / "a.yaml", "tenants: {}")
    before = read_contents([tmp_path, tmp_path / "missing"])
    again = read_contents([tmp_path, tmp_path / "missing"])
    write(file, "tenants: {a: }")
    after = read_contents([tmp_path, tmp_path / "missing"])
    write(tmp_path / "b.yaml", "")

    assert (before, hash(before)) == (again, hash(again))
    assert 3 == len({before, after, read_contents([tmp_path, tmp_path / "missing"])})


def test_contents_of_what_cannot_be_read(tmp_path: Path) -> None:
    """What is missing, empty, broken or misnamed is part of the contents, not an exception."""
    empty, gone = tmp_path / "empty", tmp_path / "gone"
    empty.mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    paths = [empty, gone, tmp_path / "loop.yaml", Path("a\0b"), tmp_path / ("x" * 300)]
    told = [file.problem for found in read_contents(paths).found for file in found.files or [found]]

    assert [
        "no *.yaml or *.yml file below this directory",
        "there is no such file",
        "cannot be read: Too many levels of symbolic links",
        "no file can have this name",
        "cannot be read: File name too long",
    ] == told


def test_signature_of_a_rename(tmp_path: Path) -> None:
    """A file that takes another's place changes the signature, with the same size and time."""
    file = write(tmp_path / "a.yaml", "one")
    before = signature([tmp_path])
    other = write(tmp_path / "new", "two")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    other.replace(file)

    assert before != signature([tmp_path])


def test_signature_of_a_swapped_link(tmp_path: Path) -> None:
    """A link of a mounted ConfigMap that leads elsewhere changes the signature of its files."""
    for name in ("..1", "..2"):
        write(tmp_path / name / "a.yaml", "same")
        os.utime(tmp_path / name / "a.yaml", ns=(0, 0))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    before = signature([tmp_path])
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")

    assert before != signature([tmp_path])


def test_signature_of_nothing_new(tmp_path: Path) -> None:
    """What did not change, or cannot be looked at, signs the same; what vanished does not."""
    file = write(tmp_path / "a.yaml", "one")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    paths = [tmp_path, tmp_path / "missing", Path("a\0b")]
    before = signature(paths)

    assert before == signature(paths)
    file.unlink()
    assert before != signature(paths)


def test_signature_of_a_directory_that_vanished(tmp_path: Path) -> None:
    """A directory that vanishes or empties is a change, not an exception."""
    write(tmp_path / "sub/a.yaml", "one")
    seen = [signature([tmp_path / "sub"])]
    (tmp_path / "sub/a.yaml").unlink()
    seen.append(signature([tmp_path / "sub"]))
    (tmp_path / "sub").rmdir()
    seen.append(signature([tmp_path / "sub"]))

    assert 3 == len(set(seen))


def test_directory_that_vanishes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that is gone when it is listed is part of the contents, and of the signature."""

    def gone(path: Path) -> list[Path]:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    monkeypatch.setattr("tenantry.loading.files.find_files", gone)

    [found] = read_contents([tmp_path]).found
    assert "cannot be read: No such file or directory" == found.problem
    assert ((str(tmp_path), "No such file or directory"),) == signature([tmp_path])


def test_unreadable_path() -> None:
    """A path that cannot be read is told with its reason."""
    assert Problem("no file can have this name", site=Site("a\0b")) == bad(Path("a\0b"))
