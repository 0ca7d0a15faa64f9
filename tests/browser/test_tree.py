"""Tests of the accessibility tree, which screen readers read: banner, fallback box, messages and pages."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.visitor_browser import Visitor

pytestmark = pytest.mark.browser

HEADING = """
  - /children: equal
  - heading "Cookies and your privacy" [level=2]
"""
TEXT = """
  - paragraph:
    - /children: equal
    - text: /May City Museum .* Counting visits and Maps and films\\? City Museum Foundation is .* Off if you refuse/
    - link "Privacy settings"
    - text: . Data would go to
    - link "Example Maps Inc."
"""
ANSWERS = """
  - button "Refuse all"
  - button "Accept all"
"""
FURTHER = """
  - link "Privacy policy"
  - button "Decide later"
"""
PURPOSES = """
  - group:
    - text: Choose
    - group "Purposes":
      - /children: equal
      - text: Purposes
      - checkbox "Counting visits" [checked=false]
      - text: Counting visits
      - paragraph: We count visits to see which pages help.
      - checkbox "Maps and films" [checked=false]
      - text: Maps and films
      - paragraph: We show maps and films of another company.
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
- region "Cookies and your privacy":{FIRST_LAYER}{PAGE}""",
    "first layer in a bar": f"""
- region "Cookies and your privacy":{FIRST_LAYER}{PAGE}""",
    "first layer in a dialog": f"""
- dialog "Cookies and your privacy":{FIRST_LAYER}""",
    "purposes open": f"""
- region "Cookies and your privacy":{HEADING}{TEXT}{ANSWERS}{PURPOSES}{FURTHER}{PAGE}""",
    "error": f"""
- region "Cookies and your privacy":{HEADING}{TEXT}
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
    "explaining page": """
- banner:
  - paragraph: City Museum
- main:
  - heading "Film of the house is switched off" [level=1]
  - paragraph: The film is switched off.
  - paragraph: /It needs your consent to. Maps and films/
  - heading "Maps and films" [level=2]
  - paragraph: We show maps and films of another company.
  - paragraph: You have not answered yet.
  - heading "Recipients" [level=3]
  - list:
    - listitem: "Example Maps Inc. (IP address, address of the page) Country: United States"
  - button "Allow Maps and films and go on"
  - paragraph:
    - link "Privacy settings"
""",
    "settings page": """
- banner:
  - paragraph: City Museum
  - navigation "Languages":
    - list:
      - listitem:
        - link "English"
      - listitem:
        - link "日本語"
      - listitem:
        - link "العربية"
- main:
  - heading "Privacy settings" [level=1]
  - button "Refuse all"
  - button "Accept all"
  - heading "Purposes" [level=2]
  - region "Strictly necessary":
    - heading "Strictly necessary" [level=3]
    - table "Cookies"
  - region "Counting visits":
    - heading "Counting visits" [level=3]
    - 'checkbox "Allow: Counting visits" [checked=false]'
    - table "Cookies"
  - region "Maps and films":
    - heading "Maps and films" [level=3]
    - 'checkbox "Allow: Maps and films" [checked=false]'
    - term: Legal basis
    - definition: Your consent
    - term: Recipients
    - definition:
      - link "Example Maps Inc."
    - heading "Not available without it" [level=4]
  - button "Save my choice"
  - heading "Recipients" [level=2]
  - table "Maps and films"
  - heading "Services with conditions of their own" [level=2]
  - heading "Your data" [level=2]
  - button "Erase my access records"
  - heading "Requests and complaints" [level=2]
  - heading "Policy version" [level=2]
  - heading "What changed" [level=2]
  - paragraph:
    - link "Back to the page"
""",
    "records page": """
- banner:
  - paragraph: City Museum
- main:
  - heading "Records of your answers" [level=1]
  - article /^Withdrawn .* UTC$/:
    - heading /^Withdrawn .* UTC$/ [level=2]
    - term: Refused
    - definition: Counting visits
    - definition: Maps and films
    - term: Given
    - definition: In the privacy settings
    - term: Language
    - definition: English
    - paragraph:
      - link "What you were shown"
    - group:
      - paragraph:
        - textbox "Is something wrong here? The record stays as it is; your note is kept with it."
      - button "Attach a note"
  - article /^Accepted .* UTC$/:
    - heading /^Accepted .* UTC$/ [level=2]
    - heading /^Your note .* UTC$/ [level=3]
    - paragraph: /Not the films/
    - group: Attach a note
  - paragraph:
    - link "Privacy settings"
""",
    "earlier text": """
- banner:
  - paragraph: City Museum
- main:
  - heading "What you were shown" [level=1]
  - group "What you were shown":
    - region "Cookies and your privacy":
      - heading "Cookies and your privacy" [level=2]
      - paragraph: /May City Museum store/
      - button "Refuse all" [disabled]
      - button "Accept all" [disabled]
      - group:
        - group "Purposes":
          - checkbox "Counting visits" [disabled]
          - paragraph: We count visits to see which pages help.
      - button "Save my choice" [disabled]
      - button "Decide later" [disabled]
  - paragraph:
    - link "Records of your answers"
""",
    "receipt page": """
- banner:
  - paragraph: City Museum
- main:
  - heading "Receipt of your answer" [level=1]
  - term: Answered on
  - definition:
    - time: / UTC/
  - term: Accepted
  - definition: Counting visits
  - definition: Maps and films
  - term: Who is responsible
  - definition:
    - text: City Museum Foundation
    - link "privacy@museum.example"
  - term: Change or withdraw
  - definition:
    - link "Privacy settings"
  - region "Counting visits"
  - region "Maps and films":
    - heading "Recipients" [level=3]
  - paragraph:
    - link "The receipt as data (JSON)"
""",
    "requests page after an error": """
- main:
  - heading "That did not work" [level=1]
  - alert: /sent too fast/
  - heading "Send a request or a complaint" [level=2]
  - group "What is it about?":
    - radio "I want to see what is kept about me" [checked]
    - radio "I want something corrected"
  - paragraph:
    - textbox "Your message": I was never asked.
  - paragraph:
    - textbox "Email address"
  - button "Send"
  - heading "Look up an answer" [level=2]
  - paragraph:
    - textbox "Reference"
  - paragraph:
    - textbox "Access code"
  - button "Look up an answer"
""",
}
RECIPIENTS = """
- table "Maps and films":
  - rowgroup:
    - row "Recipient What it receives What it uses it for":
      - columnheader "Recipient"
      - columnheader "What it receives"
      - columnheader "What it uses it for"
  - rowgroup:
    - row:
      - 'rowheader "Example Maps Inc. Country: United States Privacy policy of Example Maps Inc."'
      - cell
"""


@pytest.mark.parametrize("surface", BODIES)
def test_accessibility_tree_matches_snapshot(museum_visitor: Visitor, surface: str) -> None:
    SURFACES[surface](museum_visitor, "en")
    expect(museum_visitor.page.locator("body")).to_match_aria_snapshot(BODIES[surface])


def test_recipients_are_table_on_wide_screens(museum_visitor: Visitor) -> None:
    SURFACES["settings page"](museum_visitor, "en")
    expect(museum_visitor.page.get_by_role("table", name="Maps and films")).to_match_aria_snapshot(RECIPIENTS)
