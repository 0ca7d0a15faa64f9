"""Tests of paths inside and outside a mounted app."""

from __future__ import annotations

import pytest

from cookie_consent.base.addresses import address, host_name, local_path, outer_path


@pytest.mark.parametrize(
    ("root", "path", "inside", "outside"),
    [
        ("", "/x", "/x", "/x"),
        ("/", "/x", "/x", "/x"),
        ("/api", "/api/x", "/x", "/api/x"),
        ("/api/", "/api/x", "/x", "/api/x"),
        ("/api", "/api", "", "/api"),
        ("/api", "/x", "/x", "/api/x"),  # a proxy removed the mount path
        ("/api", "/apix", "/apix", "/api/apix"),  # only a common beginning
    ],
)
def test_mounted_app_has_local_and_outer_path(root: str, path: str, inside: str, outside: str) -> None:
    scope = {"path": path, "root_path": root}
    assert (local_path(scope), outer_path(scope)) == (inside, outside)


def test_paths_work_without_root_path() -> None:
    assert (local_path({"path": "/x"}), outer_path({"path": "/x"})) == ("/x", "/x")


@pytest.mark.parametrize(("root_path", "written"), [("", "/p"), ("/", "/p"), ("/app", "/app/p"), ("/app/", "/app/p")])
def test_address_includes_mount_path(root_path: str, written: str) -> None:
    assert address(root_path, "/p") == written


@pytest.mark.parametrize(
    ("host", "name"),
    [(b"site.example:8000", "site.example"), (b"a" * 255 + b":8000", "a" * 255), (b"a" * 256, "(other)")],
)
def test_overlong_host_has_no_name_of_its_own(host: bytes, name: str) -> None:
    assert host_name(host) == name
