from __future__ import annotations

import pytest

from cookie_consent.base.paths import local_path, outer_path


@pytest.mark.parametrize(
    ("root", "path", "inside", "outside"),
    [
        ("", "/x", "/x", "/x"),
        ("/", "/x", "/x", "/x"),
        ("/api", "/api/x", "/x", "/api/x"),
        ("/api/", "/api/x", "/x", "/api/x"),
        ("/api", "/api", "", "/api"),
        ("/api", "/x", "/x", "/api/x"),  # a proxy took the mount path away
        ("/api", "/apix", "/apix", "/api/apix"),  # it only begins alike
    ],
)
def test_a_path_inside_a_mounted_app_and_as_the_outside_sees_it(
    root: str, path: str, inside: str, outside: str
) -> None:
    scope = {"path": path, "root_path": root}
    assert (local_path(scope), outer_path(scope)) == (inside, outside)


def test_a_server_may_leave_the_mount_path_out() -> None:
    assert (local_path({"path": "/x"}), outer_path({"path": "/x"})) == ("/x", "/x")
