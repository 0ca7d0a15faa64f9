"""What waits in templates appears without JavaScript, too, for visitors who allow it."""

import pytest
from playwright.sync_api import expect

from tests.support.browsers.visitor_browser import NewVisitor, Sites
from tests.support.sites.browser_site import TEMPLATES

pytestmark = pytest.mark.browser


@pytest.fixture
def sites(plain: Sites) -> Sites:
    return plain


def test_templates_appear_without_javascript(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(java_script_enabled=False)
    visitor.go("/")
    shown = visitor.page.locator(", ".join(f"#{name}" for name in TEMPLATES))
    expect(shown).to_have_count(0)
    visitor.accept()
    visitor.go("/")
    assert {element.get_attribute("id") for element in shown.all()} == {
        name for name, purposes in TEMPLATES.items() if set(purposes.split()) <= {"analytics", "media"} and purposes
    }
