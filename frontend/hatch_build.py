"""Builds the front end for wheels, sdists and editable installs. An sdist carries it built, so a wheel made from one needs no Node."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _beside(name: str) -> Any:
    """Load a module of this folder, which is in no path while pip builds."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bundle = _beside("bundle")


class FrontendHook(BuildHookInterface):
    """Makes the bundle before anything is packed, and packs it, although git ignores it."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what the build needs besides hatchling: Node, where there is something to build and no Node."""
        return [] if bundle.up_to_date() or bundle.node_on_path() else [bundle.NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the bundle."""
        try:
            bundle.make()
        except bundle.NotBuilt as error:
            self.app.abort(f"\n{error}\n")
        build_data["artifacts"].append("sopnb/widgets/static/*")
