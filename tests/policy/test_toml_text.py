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


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[site]", "[[site]]"),
        ("[signals]", "[[signals]]"),
        ("[purposes.media]", "[[purposes.media]]"),
        ("[texts.en]", "[[texts.en]]"),
        ("[services.shop.purposes.media]", "[[services.shop.purposes.media]]"),
        ("[[cookies]]", "[cookies]"),
        ("[[recipients]]", "[recipients]"),
        ("[[changes]]", "[changes]"),
    ],
)
def test_brackets_of_the_wrong_number_are_named(tmp_path: Path, right: str, wrong: str) -> None:
    found = messages(tmp_path, FULL_POLICY.replace(right, wrong))
    number = "double" if right.startswith("[[") else "single"
    assert len(found) == FULL_POLICY.count(right)
    assert all(message.endswith(f"Write {right}, in {number} brackets.") for message in found)


@pytest.mark.parametrize(
    ("text", "wrong", "rest"),
    [
        (
            FULL_POLICY.replace("[[cookies]]", "[ cookies ]", 1),
            "[ cookies ]",
            "begins one table, but there can be several. Write [[cookies]], in double brackets.",
        ),
        (
            f"{FULL_POLICY}\n[[site]]\npolicy_url = 1\n",
            "[[site]]",
            "begins one of several tables, but there is only one. Write [site], in single brackets.",
        ),
    ],
)
def test_brackets_of_both_numbers_are_named_with_their_line(tmp_path: Path, text: str, wrong: str, rest: str) -> None:
    line = text.splitlines().index(wrong) + 1
    assert messages(tmp_path, text) == [f"{wrong} line {line} {rest}"]


def test_brackets_in_a_text_are_no_table(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    text = FULL_POLICY.replace('"We count visits."', '"""We count\n[cookies]\n[[site]]\n"""', 1)
    path.write_text(text, encoding="utf-8")
    assert "[cookies]" in Policy.load(path).purposes[1].description["en"]
