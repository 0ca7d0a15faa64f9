"""Tests of reading the text of a policy file: encodings, and brackets of the wrong number."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy
from tests.support.policies import FULL_POLICY


def error_of(folder: Path, content: str | bytes) -> PolicyError:
    """Load a policy file with this content and return the error, which names the file."""
    path = folder / "consent.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())
    return caught.value


def messages(folder: Path, content: str | bytes) -> list[str]:
    return [line.partition("consent.toml: ")[2] for line in str(error_of(folder, content)).splitlines()]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_and_any_line_ends_are_read(tmp_path: Path, line_end: str) -> None:
    plain, marked = tmp_path / "plain.toml", tmp_path / "marked.toml"
    plain.write_bytes(FULL_POLICY.encode())
    marked.write_bytes(FULL_POLICY.replace("\n", line_end).encode("utf-8-sig"))
    assert Policy.load(marked).version == Policy.load(plain).version


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("utf-32-be", b"\0\0\xfe\xff"),
    ],
)
def test_wide_encoding_is_named_with_what_to_do(tmp_path: Path, encoding: str, mark: bytes) -> None:
    error = error_of(tmp_path, mark + FULL_POLICY.lstrip().encode(encoding))
    assert error.problem == "this file is in UTF-16 or UTF-32, and TOML is in UTF-8"
    assert error.remedy.startswith("Save it as UTF-8")


def test_byte_of_another_encoding_is_found_in_its_line(tmp_path: Path) -> None:
    error = error_of(tmp_path, "[site]\nname = 'a'\ncontroller = '株式会社'\n".encode("shift_jis"))
    assert "line 3 has a byte that is not of UTF-8" in error.problem
    assert error.remedy == "Save the file as UTF-8."


def test_error_of_toml_says_that_it_hides_others(tmp_path: Path) -> None:
    (message,) = messages(tmp_path, "[site]\nname = Example\nlanguages = 1\n")
    assert message.startswith("this is no TOML file in UTF-8: Invalid value (at line 2, column 8). ")
    assert message.endswith("What else is wrong shows once this is right.")


@pytest.mark.parametrize("table", ["cookies", "recipients", "changes"])
def test_single_brackets_in_place_of_double_ones_are_named(tmp_path: Path, table: str) -> None:
    once, twice = f"{FULL_POLICY}\n", FULL_POLICY.replace(f"[[{table}]]", f"[{table}]")
    assert once != twice
    found = messages(tmp_path, twice)
    assert all(f"Write [[{table}]], in double brackets." in message for message in found)
    assert all(message.startswith(f"[{table}] ") for message in found)
    assert len(found) == FULL_POLICY.count(f"[[{table}]]")


def test_single_brackets_before_double_ones_are_named_with_their_line(tmp_path: Path) -> None:
    mixed = FULL_POLICY.replace("[[cookies]]", "[ cookies ]", 1)
    line = mixed.splitlines().index("[ cookies ]") + 1
    assert messages(tmp_path, mixed) == [
        f"[ cookies ] line {line} begins one table, but there can be several. Write [[cookies]], in double brackets."
    ]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[site]", "[[site]]"),
        ("[signals]", "[[signals]]"),
        ("[purposes.media]", "[[purposes.media]]"),
        ("[texts.en]", "[[texts.en]]"),
        ("[features.map]", "[[features.map]]"),
        ("[services.whois]", "[[services.whois]]"),
        ("[services.shop.purposes.media]", "[[services.shop.purposes.media]]"),
    ],
)
def test_double_brackets_in_place_of_single_ones_are_named(tmp_path: Path, right: str, wrong: str) -> None:
    (message,) = messages(tmp_path, FULL_POLICY.replace(right, wrong))
    assert message.endswith(f"Write {right}, in single brackets.")


def test_double_brackets_beside_single_ones_are_named_with_their_line(tmp_path: Path) -> None:
    again = f"{FULL_POLICY}\n[[site]]\npolicy_url = 1\n"
    (message,) = messages(tmp_path, again)
    line = again.splitlines().index("[[site]]") + 1
    assert message == (
        f"[[site]] line {line} begins one of several tables, but there is only one. Write [site], in single brackets."
    )


def test_brackets_in_a_text_are_no_table(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    text = FULL_POLICY.replace('"We count visits."', '"""We count\n[cookies]\n[[site]]\n"""', 1)
    path.write_text(text, encoding="utf-8")
    assert "[cookies]" in Policy.load(path).purposes[1].description["en"]
