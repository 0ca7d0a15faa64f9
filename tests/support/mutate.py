"""Changes a room at random places, one at a time, and prints which changes the room's own tests do not notice.

Run it in a copy of the checkout, as `make mutate` does: it writes each change to the file.

usage: python -m tests.support.mutate SAMPLE SECONDS [ROOM ...]
    SAMPLE is the number of changes for each room; the same code gets the same ones. After SECONDS no further one is
    tried in a room. ROOM is a folder of the package, or the beginning of its files, such as "endpoints/answer".
"""

from __future__ import annotations

import difflib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import libcst
from coverage import CoverageData
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

FLOORS = dict.fromkeys(("base/cookies", "decision", "endpoints/answer", "ledgers/chain"), 95.0)
"""Room, or beginning of its files -> percent of the changes that its tests have to notice."""
OTHER_FLOOR = 90.0
PACKAGE = Path("cookie_consent")
_PYTEST = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
_PYTEST += ["-m", "not browser and not server", "--hypothesis-profile=mutation"]
_COVER = ["--cov", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"]
_CODECS = ('"ascii"', '"latin-1"', '"utf-8"')
_UNTESTED = (libcst.Annotation, libcst.Decorator, libcst.FormattedString, libcst.Import, libcst.ImportFrom)


class Changes(libcst.CSTVisitor):
    """Collects the changes of a module: the line of each, and what returns the module with it."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, module: MetadataWrapper) -> None:
        super().__init__()
        self.changes: list[tuple[int, partial[libcst.Module]]] = []
        self._module = module.module
        module.visit(self)

    def on_visit(self, node: libcst.CSTNode) -> bool:
        """Collect the changes of a node. Prose, annotations and names of codecs are left out: no test compares them."""
        is_prose = isinstance(node, libcst.SimpleString) and (" " in node.value or node.value in _CODECS)
        if is_prose or isinstance(node, _UNTESTED):
            return False
        line = self.get_metadata(PositionProvider, node).start.line
        self.changes += [(line, partial(self._module.deep_replace, node, new)) for new in change_node(node)]
        return True


def change_node(node: libcst.CSTNode) -> Iterator[libcst.CSTNode]:
    """Yield what mutmut makes of a node; and let it lose a branch, a result or a call."""
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            yield from operator(node)
    if isinstance(node, libcst.If):
        yield from (node.with_changes(test=libcst.Name(value)) for value in ("True", "False"))
    if isinstance(node, libcst.Return) and node.value:
        yield node.with_changes(value=libcst.Name("None"))
    if isinstance(node, libcst.Expr) and isinstance(node.value, libcst.Call):
        yield libcst.Pass()


def mutate(room: str, sample: int, seconds: float) -> bool:
    """Print the changes that no test notices, and the share of the others. Return whether it reaches the floor."""
    room_tests = [f"tests/{room.partition('/')[0]}"]
    subprocess.run([*_PYTEST, *room_tests, *_COVER], check=True)
    covered = CoverageData()
    covered.read()
    files = sorted(PACKAGE.glob(f"{room}/**/*.py")) or sorted(PACKAGE.glob(f"{room}*.py"))
    sources = {path: MetadataWrapper(libcst.parse_module(path.read_text())) for path in files}
    changes = [(path, *change) for path, source in sources.items() for change in Changes(source).changes]
    random.Random(0).shuffle(changes)
    end = time.monotonic() + seconds
    noticed: list[bool] = []
    while changes and len(noticed) < sample and time.monotonic() < end:
        path, line, make_change = changes.pop()
        tests = {context.partition("|")[0] for context in covered.contexts_by_lineno(str(path.resolve())).get(line, ())}
        nearest = sorted({test.partition("[")[0] for test in tests} - {""})
        before, after = sources[path].module.code, make_change().code
        if is_python(after):
            path.write_text(after)
            noticed.append(fails(nearest) or fails(room_tests))
            path.write_text(before)
            if not noticed[-1]:
                print(
                    *difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), n=1, lineterm=""),
                    sep="\n",
                )
    percent = 100 * sum(noticed) / len(noticed)
    floor = FLOORS.get(room, OTHER_FLOOR)
    print(f"{room}: {sum(noticed)} of {len(noticed)} changes are noticed, {percent:.0f} % (at least {floor:.0f} %)")
    return percent >= floor


def is_python(code: str) -> bool:
    """Return whether the code can be compiled."""
    try:
        compile(code, "", "exec")
    except SyntaxError:
        return False
    return True


def fails(tests: list[str]) -> bool:
    """Return whether one of the tests fails."""
    return bool(tests) and subprocess.run([*_PYTEST, *tests], capture_output=True).returncode != 0


if __name__ == "__main__":
    rooms = sys.argv[3:] or [path.parent.name for path in sorted(PACKAGE.glob("*/__init__.py"))]
    results = [mutate(room, int(sys.argv[1]), float(sys.argv[2])) for room in rooms]
    sys.exit(not all(results))
