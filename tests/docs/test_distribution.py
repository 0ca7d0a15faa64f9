"""Tests that the release workflow can be trusted with a release."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.support.documentation import ROOT

TEXT = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
WORKFLOW = yaml.load(TEXT, Loader=yaml.BaseLoader)  # noqa: S506 - it makes strings only: "on" stays a word
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def actions(job: str) -> dict[str, list[dict[str, Any]]]:
    """Return the actions that a job uses, without their versions: name -> the settings of each use."""
    found: dict[str, list[dict[str, Any]]] = {}
    for step in JOBS[job]["steps"]:
        if "uses" in step:
            found.setdefault(step["uses"].partition("@")[0], []).append(step.get("with", {}))
    return found


def test_only_the_job_that_publishes_may_ask_for_an_identity() -> None:
    assert WORKFLOW["permissions"] == {}
    allowed = {name: job["permissions"] for name, job in JOBS.items()}
    assert allowed.pop("publish") == {"id-token": "write"}
    assert all(permissions == {"contents": "read"} for permissions in allowed.values())


def test_workflow_needs_no_secret() -> None:
    assert not re.search(r"secrets|password|token(?!: write| to keep)", TEXT)
    checkouts = [settings for job in JOBS for settings in actions(job).get("actions/checkout", [])]
    assert checkouts
    assert all(settings == {"persist-credentials": "false"} for settings in checkouts)


def test_each_action_is_pinned_to_a_commit_whose_version_is_said() -> None:
    used = re.findall(r"uses: (.+)", TEXT)
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []
    assert len({action.partition("@")[0] for action in used}) == len(set(used)), "an action has two versions"


def test_nothing_is_published_that_another_job_did_not_pass() -> None:
    assert set(JOBS["publish"]["needs"]) == JOBS.keys() - {"publish"}
    assert JOBS["publish"]["environment"]
