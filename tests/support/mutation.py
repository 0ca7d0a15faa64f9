"""Mutation testing by sample: `make mutate ARGS="--sample 60 --minutes 60 gate chain"`; see `docs/mutation.md`."""

from __future__ import annotations

import argparse
import ast
import compileall
import os
import py_compile
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product, zip_longest
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import attrs
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.operators import provider
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import use_db

TESTS: dict[str, list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
# A process that does not end fails half a minute after its tests.
MAIN = (
    "import faulthandler, pytest, sys; code = pytest.main(); faulthandler.dump_traceback_later(30, exit=True); "
    "sys.exit(code)"
)
PYTEST = (
    f"-c '{MAIN}' -x -q -p no:cacheprovider -m 'not browser and not server' --timeout=60 --timeout-method=thread"
    " --hypothesis-profile=mutation"
)
SAME = re.compile(r".*_(Is_Eq|Eq_Is|IsNot_NotEq|NotEq_IsNot)$")  # equivalent when None or a constant is compared


class DropArgument:
    """Drops a keyword argument. Cosmic Ray's own operators drop neither arguments nor calls."""

    arguments, instead = tuple, "**{}"

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "argument" and node.children[1] == "=":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, _index: int) -> Any:
        leaf = node.get_first_leaf()
        leaf.value, node.children = self.instead, [leaf]
        return node


class DropCall(DropArgument):
    """Drops a call whose result is not used."""

    instead = "..."

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "atom_expr" and node.parent.type == "simple_stmt" and node.children[-1].type == "trailer":
            yield node.start_pos, node.end_pos


provider._OPERATORS.update(DropArgument=DropArgument, DropCall=DropCall)


def only_for_types(path: str) -> set[int]:
    """Return the lines of annotations, of TYPE_CHECKING blocks and of decorators."""
    nodes = list(ast.walk(ast.parse(Path(path).read_text())))
    found = [part for node in nodes for name in ("annotation", "returns") if (part := getattr(node, name, None))]
    found += [each for node in nodes for each in getattr(node, "decorator_list", ())]
    found += [node for node in nodes if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {line for part in found for line in range(part.lineno, part.end_lineno + 1)}


def name_of(item: Any) -> str:
    """Return the name of the mutated module, as in mutation.toml."""
    return str(item.mutations[0].module_path.relative_to("cookie_consent").with_suffix(""))


def describe(item: Any) -> str:
    """Return the place and the operator of a mutant."""
    mutation = item.mutations[0]
    return f"{name_of(item)}:{mutation.start_pos[0]} {mutation.operator_name.removeprefix('core/')}"


def mutants(module: str, folder: Path) -> list[Any]:
    """Return all mutants of a module, in the order of Cosmic Ray's session."""
    with use_db(folder / "session.sqlite") as session:
        init([Path(f"cookie_consent/{module}.py")], session, {})
        return sorted(session.work_items, key=lambda item: str(attrs.evolve(item, job_id="")))


def sample(items: list[Any], size: int) -> list[Any]:
    """Return at most this many mutants, no two with the same operator at the same place."""
    places, skipped = {}, only_for_types(str(items[0].mutations[0].module_path))
    for item in random.sample(items, len(items)):
        mutation = item.mutations[0]
        if mutation.start_pos[0] not in skipped and not SAME.match(mutation.operator_name):
            places[mutation.start_pos, mutation.operator_name.split("_")[0]] = item
    return random.sample(list(places.values()), min(size, len(places)))


def command(copy: Path, module: str) -> str:
    """Return the command that tests a module in a copy of the checkout, with at most a minute of CPU time."""
    tests = " ".join(f"tests/{each}" for each in TESTS[module])
    python = f"PYTHONPATH={shlex.quote(str(copy))} exec {shlex.quote(sys.executable)}"
    return "sh -c " + shlex.quote(f"ulimit -t 60; cd {shlex.quote(str(copy))} && {python} {PYTEST} {tests}")


def prepare(folder: Path, workers: int) -> list[Path]:
    """Copy the checkout for each worker, so that a run that is killed leaves no mutant in it."""
    copies = [folder / str(number) for number in range(workers)]
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], text=True).splitlines()
    for copy, file in product(copies, filter(os.path.isfile, listed)):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy / file)
    for copy in copies:  # compiled by hash, not by time: two mutants may be written in one second
        compileall.compile_dir(
            copy / "cookie_consent", quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
        )
    return copies


def try_one(item: Any, free: SimpleQueue[Path], deadline: float) -> Any:
    """Return the result of a mutant, or None if the time is over."""
    if (left := deadline - time.monotonic()) < 0:
        return None
    copy, mutation = free.get(), item.mutations[0]
    result = mutate_and_test(
        [attrs.evolve(mutation, module_path=copy / mutation.module_path)], command(copy, name_of(item)), left
    )
    free.put(copy)
    return None if result.output == "timeout" else result


def main() -> None:
    """Test a sample of the mutants of each module; print survivors immediately, and the score at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="parts of the modules' names; all when none is named")
    for name, default in {"sample": 10, "minutes": 10, "workers": 2, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    deadline = time.monotonic() + 45 * options.minutes  # a quarter of the time is for the tests without a mutant
    random.seed(options.seed)
    modules = [name for name in TESTS if any(part in name for part in options.modules or [""])]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.workers) as pool:
        free: SimpleQueue[Path] = SimpleQueue()
        for copy in (copies := prepare(Path(folder), options.workers)):
            free.put(copy)
        samples = [sample(mutants(module, Path(folder)), options.sample) for module in modules]
        items = [item for turn in zip_longest(*samples) for item in turn if item]
        found: dict[str, Counter[bool]] = {module: Counter() for module in modules}
        for item, result in zip(items, pool.map(lambda item: try_one(item, free, deadline), items), strict=True):
            if result:
                found[name_of(item)][result.is_killed] += 1
                print(
                    f"killed: {describe(item)}" if result.is_killed else f"SURVIVED: {describe(item)}\n{result.diff}",
                    flush=True,
                )
        unsure = [module for module, killed in found.items() if killed[True] and not killed[False]]
        for module, ran in zip(
            unsure, pool.map(lambda name: run_tests(command(copies[0], name), 600), unsure), strict=True
        ):
            if ran[0] != "survived":
                sys.exit(f"The tests of {module} fail without any mutant:\n{ran[1]}")
    for module, killed in found.items():
        print(f"{module:25} {killed[True]:4} of {killed.total():4} killed")
    total = sum(found.values(), Counter())
    print(f"{total[True]} of {total.total()} killed; the time was over for {len(items) - total.total()}")


if __name__ == "__main__":
    main()
