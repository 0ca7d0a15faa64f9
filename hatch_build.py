"""Compiles the modules that each request runs through, for wheels that ask for it; see docs/performance.md."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


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
