"""Finds the programs that the servers need, or says which package to install."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import ProgramMissing, WrongJava

_JAVA_PACKAGE = "openjdk-17-jre-headless"


def find(program: str, package: str) -> str:
    """The program's path; raises ProgramMissing with the package that has it."""
    path = shutil.which(program)
    if path is None:
        raise ProgramMissing(program, package)
    return path


def java() -> str:
    """The Java of $JAVA_HOME, else of $PATH."""
    home = os.environ.get("JAVA_HOME")
    inside = Path(home, "bin", "java") if home else None
    if inside is not None and inside.exists():
        return str(inside)
    return find("java", _JAVA_PACKAGE)


def java_of_version(server: str, needed: int) -> str:
    """Java, checked to be of the one major version that the server runs on."""
    path = java()
    answer = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    major = major_version(answer.stderr)
    if major != str(needed):
        raise WrongJava(server, needed, major)
    return path


def major_version(text: str) -> str:
    """The major version in what `java -version` says; old ones call themselves 1.8."""
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return match.group(1) if match else "of an unknown version"
