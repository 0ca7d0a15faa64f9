"""Tests of the accessibility tree, which screen readers read: banner, fallback box, messages and pages."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browsers.surfaces import show_surface
from tests.support.browsers.visitor_browser import Visitor

pytestmark = pytest.mark.browser

HEADING = """
  - /children: equal
  - heading "Cookies on City Museum" [level=2]
"""
TEXT = """
  - paragraph:
    - /children: equal
    - text: /May City Museum Foundation use .* for Counting visits and Maps and films\\? Data would go to/
    - link "Example Maps Inc."
    - text: Change this any time in
    - link "Privacy settings"
    - text: .
"""
ANSWERS = """
  - button "Refuse all"
  - button "Accept all"
"""
FURTHER = """
  - link "Privacy policy"
  - button "Close": ×
"""
PURPOSES = """
  - group:
    - text: Choose
    - group "Purposes":
      - /children: equal
      - checkbox "Counting visits" [checked=false]
      - text: Counting visits
      - paragraph: We count visits to see which pages help.
      - checkbox "Maps and films" [checked=false]
      - text: Maps and films
      - paragraph: We show maps and films of another company.
    - paragraph: "Off if you refuse: Map of the museum and Film of the house."
  - button "Save my choice"
"""
FIRST_LAYER = f"""{HEADING}{TEXT}{ANSWERS}
  - group: Choose{FURTHER}"""
PAGE = """
- banner:
  - link "City Museum"
- main:
  - heading "Open every day but Monday" [level=1]
  - paragraph
- contentinfo:
  - paragraph:
    - link "Privacy settings"
"""
BODIES = {
    "first layer": f"""
- region "Cookies on City Museum":{FIRST_LAYER}{PAGE}""",
    "purposes open": f"""
- region "Cookies on City Museum":{HEADING}{TEXT}{ANSWERS}{PURPOSES}{FURTHER}{PAGE}""",
    "error": f"""
- region "Cookies on City Museum":{HEADING}{TEXT}
  - alert: Your choice could not be saved. Please check the connection and try again.{ANSWERS}
  - group: Choose{FURTHER}{PAGE}""",
    "answer kept": f"""{PAGE}
- status: Your choice is saved. You refused all purposes that are not strictly necessary.""",
    "fallback box": """
- banner
- main:
  - heading "How to find us" [level=1]
  - region "Map of the museum is switched off":
    - paragraph: The map is switched off. The way to us is described below.
    - paragraph: /It needs your consent to. Maps and films/
    - paragraph: You refused it.
    - button "Allow Maps and films and go on"
    - paragraph:
      - link "Privacy settings"
  - paragraph
- contentinfo
""",
    "settings page": """
- banner:
  - paragraph:
    - link "City Museum"
  - navigation "Languages":
    - list:
      - listitem:
        - link "English"
      - listitem:
        - link "日本語"
      - listitem:
        - link "العربية"
- main:
  - paragraph:
    - link "Back to the page"
  - heading "Privacy settings" [level=1]
  - paragraph:
    - strong: You have not answered yet. Only what is strictly necessary is allowed.
  - group "Purposes":
    - /children: equal
    - checkbox "Counting visits" [checked=false]
    - text: Counting visits
    - paragraph: We count visits to see which pages help.
    - checkbox "Maps and films" [checked=false]
    - text: Maps and films
    - paragraph: We show maps and films of another company.
  - paragraph: Strictly necessary Always on
  - button "Save my choice"
  - button "Refuse all"
  - button "Accept all"
  - heading "Your data" [level=2]
  - list:
    - listitem:
      - group: See what is kept about you
    - listitem:
      - link "Download everything kept about you"
    - listitem:
      - link "Send a request or a complaint"
  - group:
    - heading "Purposes and Cookies" [level=2]
  - group:
    - heading "Recipients" [level=2]
  - group:
    - heading "Services with conditions of their own" [level=2]
  - group:
    - heading "Requests and complaints" [level=2]
  - group:
    - heading "Policy version" [level=2]
""",
    "folds of the settings page": """
- main:
  - group:
    - region "Counting visits":
      - heading "Counting visits" [level=3]
      - table "Cookies"
    - region "Maps and films":
      - heading "Maps and films" [level=3]
      - term: Legal basis
      - definition: Your consent
      - term: Recipients
      - definition:
        - link "Example Maps Inc."
      - heading "Not available without it" [level=4]
    - region "Strictly necessary":
      - heading "Strictly necessary" [level=3]
      - group: /\\d cookies that remember this choice/
  - group:
    - heading "Recipients" [level=2]
    - table "Maps and films"
  - group:
    - heading "Policy version" [level=2]
    - heading "What changed" [level=3]
""",
    "settings in place": f"""
- region "Privacy settings":
  - heading "Privacy settings" [level=2]
  - paragraph: You refused all purposes that are not strictly necessary.
  - paragraph:
    - text: Data would go to
    - link "Example Maps Inc."
    - text: Change this any time in
    - link "Privacy settings"
    - text: .{ANSWERS}{PURPOSES}
  - link "Privacy policy"
  - button "Close": ×
""",
}


@pytest.mark.requirement("AX-05")
@pytest.mark.parametrize("surface", BODIES)
def test_accessibility_tree_matches_snapshot(museum_visitor: Visitor, surface: str) -> None:
    show_surface(museum_visitor, surface, "en")
    expect(museum_visitor.page.locator("body")).to_match_aria_snapshot(BODIES[surface])
