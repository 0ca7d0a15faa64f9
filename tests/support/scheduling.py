"""Which tests one xdist worker runs in sequence."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from xdist.scheduler import LoadFileScheduling


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Keeps the tests of a file on one worker, so that fixtures start once."""

    def _reschedule(self, node: Any) -> None:
        """Give a worker more to do, as soon as it has told which tests it found.

        A worker begins a test when it knows the next one, or that there is none. xdist gives a new worker one file. If
        a single test is left of it, the worker would wait for ever.
        """
        if node not in self.registered_collections:
            return
        super()._reschedule(node)
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)

    def _assign_work_unit(self, node: Any) -> None:
        """Give a worker the next file. If it has just ended, `remove_node` takes the file back."""
        with suppress(OSError):
            super()._assign_work_unit(node)

    def remove_node(self, node: Any) -> str | None:
        """Return the test that a worker ran when it ended; give the others that it had to the next workers.

        xdist gives them that test too. One that ends a worker would end each of them, or hang in each of them.
        """
        files: dict[str, dict[str, bool]] = self.assigned_work.pop(node)
        waiting = [test for tests in files.values() for test, is_done in tests.items() if not is_done]
        if not waiting:
            return None
        running = waiting[0]
        files[self._split_scope(running)][running] = True
        self.workqueue.update({file: tests for file, tests in files.items() if not all(tests.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return running

    def mark_test_pending(self, item: str) -> None:
        """Let a test of browsers or servers run again whose worker has ended: pytest-rerunfailures counts how often."""
        file = self._split_scope(item)
        self.workqueue[file] = {**self.workqueue.get(file, {}), item: False}
        for node in self.nodes:
            self._reschedule(node)
