"""Hooks of Hatchling, the build backend: the long description, and compiled modules for wheels that ask for them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK_TO_FILE = re.compile(r"(?P<image>!?)(?P<text>\[[^\]]*\])\((?P<file>(?!\w+:|#)[^)]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Makes README.md the long description, which a package index shows without the files that it links to.

    Where `[project.urls]` names the `Repository`, links to files lead there, to the tag of this version.
    """

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the long description to the metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if repository := metadata.get("urls", {}).get("Repository"):
            text = _with_links_to(repository.rstrip("/"), f"v{metadata['version']}", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def _with_links_to(repository: str, tag: str, text: str) -> str:
    """Return a Markdown text whose links to files lead to a repository; pictures are loaded from there."""

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link["image"] else "blob"
        return f"{link['image']}{link['text']}({repository}/{kind}/{tag}/{link['file']})"

    return _LINK_TO_FILE.sub(absolute, text)


class CompileHook(BuildHookInterface[Any]):
    """Adds compiled modules to a wheel, beside their sources. Python imports a compiled module first.

    It runs only with the environment variable HATCH_BUILD_HOOK_ENABLE_CUSTOM=true, so that other builds need no C
    compiler. An editable install always runs the sources.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the modules that pyproject.toml lists, and add them to the files of the wheel."""
        if version == "editable":
            return
        # Only this hook's `dependencies` install them.
        from Cython.Build import cythonize
        from setuptools import Distribution, Extension

        # The hook keeps it until the wheel is written.
        self._built = TemporaryDirectory()
        folder = Path(self._built.name)
        paths = {module: f"{module.replace('.', '/')}.py" for module in self.config["modules"]}
        extensions = cythonize(
            [Extension(module, [path]) for module, path in paths.items()],
            build_dir=str(folder / "c"),
            nthreads=os.cpu_count() or 1,
            # Annotations do not restrict what apps and servers may pass, as in the sources.
            compiler_directives={"annotation_typing": False, "language_level": 3},
        )
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
        for built in command.get_outputs():
            build_data["force_include"][built] = Path(built).relative_to(folder / "lib").as_posix()
        build_data["pure_python"], build_data["infer_tag"] = False, True
