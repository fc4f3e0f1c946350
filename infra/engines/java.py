"""This finds and checks Java and Maven, and uses Maven to fetch the jars of an engine once."""

import os
import re
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.engines.process import run

JAVA_VERSION = 17
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>factline</groupId><artifactId>engine</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


class ToolMissing(Exception):  # noqa: N818
    """A program the engines need is not installed, or too old; the text says which. Install it, then retry."""


def java(*, newest: int | None = None) -> str:
    """Return the path of a Java that is new enough, and not newer than the engine can bear.

    Raises: ToolMissing, there is none.
    """
    needed = f"java {JAVA_VERSION}" + (" or newer" if newest is None else "")
    home = os.environ.get("JAVA_HOME")
    command = shutil.which("java", path=f"{home}/bin" if home else None)
    if command is None:
        raise ToolMissing(f"java is missing: install {needed} (a JDK) and put it on the PATH or set JAVA_HOME")
    output = run([command, "-version"]).stderr
    found = re.search(r'version "(\d+)', output)
    version = int(found[1]) if found else 0
    if version < JAVA_VERSION or (newest is not None and version > newest):
        raise ToolMissing(f"{needed} is needed, {command} is version {version or 'unknown'}: set JAVA_HOME to another")
    return command


def keytool() -> str:
    return str(Path(java()).resolve().with_name("keytool"))


def jars(name: str, *artifacts: str) -> Path:
    """Return a folder with the jars of artifacts and of what they need; the network is used the first time only.

    Shape: `name` says what the folder holds and in which version; an artifact is group:name:version.
    Raises: ToolMissing, there is no Maven and the jars are not there yet, or Maven could not fetch them.
    """
    target = _cache() / name
    if not target.exists():
        dependencies = "".join(DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)
        with TemporaryDirectory(dir=_cache()) as work:
            Path(work, "pom.xml").write_text(POM.format(dependencies=dependencies))
            _maven(work, f"{DEPENDENCY_PLUGIN}:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime")
            _keep(Path(work, "jars"), target)
    return target


def unpacked(name: str, artifact: str) -> Path:
    """Return a folder with the content of an archive, group:name:version:tar.gz:classifier; otherwise as `jars`."""
    target = _cache() / name
    if not target.exists():
        with TemporaryDirectory(dir=_cache()) as work:
            _maven(work, f"{DEPENDENCY_PLUGIN}:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={work}")
            with tarfile.open(next(Path(work).glob("*.tar.gz"))) as archive:
                archive.extractall(Path(work, "content"), filter="data")
            _keep(Path(work, "content"), target)
    return target


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "factline" / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _maven(folder: str, *arguments: str) -> None:
    command = shutil.which("mvn")
    if command is None:
        raise ToolMissing("maven is missing: install it and put mvn on the PATH; it is needed once, to fetch the jars")
    done = run([command, "-q", "-B", *arguments], folder=folder)
    if done.returncode:
        raise ToolMissing(f"maven could not fetch the jars; check the network and the maven settings:\n{done.stdout}")


def _keep(fetched: Path, target: Path) -> None:
    # A rename is all or nothing: an interrupted download is never taken for a whole one.
    try:
        fetched.rename(target)
    except OSError:
        if not target.exists():  # else another process was faster
            raise
