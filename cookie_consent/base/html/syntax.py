"""What tags, comments and scripts look like in HTML (sections 13.2.5.1 to 13.2.5.50), as patterns."""

import re
from sys import maxsize

SPACE = r"\t\n\f\r\ "
NAMED = rf"(?= [{SPACE}/>] )"


def compiled(pattern: str) -> re.Pattern[bytes]:
    """Return a pattern of ASCII letters in either case; spaces in it mean nothing."""
    return re.compile(pattern.encode(), re.IGNORECASE | re.DOTALL | re.VERBOSE)


# Groups are atomic instead of possessive, which Python before 3.11.5 matches incorrectly (gh-106052).
IS = rf"[{SPACE}]*+ = [{SPACE}]*+"
UNQUOTED = rf"[^{SPACE}>]*+"
ATTRIBUTE = rf"""[^{SPACE}/>] [^{SPACE}/>=]*+ (?:
    {IS} (?: "[^"]*+" | '[^']*+' | (?! ["'] ) {UNQUOTED} ) | (?! [{SPACE}]*+ = ) )"""
_ATTRIBUTES = compiled(
    rf"""(?P<name> [^{SPACE}/>] [^{SPACE}/>=]*+ ) (?: {IS} (?: "([^"]*+)" | '([^']*+)' | ({UNQUOTED}) ) )?"""
)
REST = rf"{NAMED} (?>(?: [{SPACE}/]*+ {ATTRIBUTE} )*) [{SPACE}/]*+ >"


def attributes(tag: bytes) -> dict[bytes, bytes]:
    """Return the attributes of a tag, by their names in lowercase. Of several with a name, the first counts.

    Args:
        tag: what follows the name of the element.
    """
    found = reversed([*_ATTRIBUTES.finditer(tag)])
    return {match["name"].lower(): match[2] or match[3] or match[4] or b"" for match in found}


def _until(pattern: str, *marks: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return the pattern that ends a state, and one for the beginning of a mark at the end of the bytes."""
    beginnings = [re.escape(mark[:length]) for mark in marks for length in range(len(mark), 0, -1)]
    return compiled(pattern), compiled(rf"(?: {'|'.join(beginnings)} ) \Z" if marks else "(?!)")


RAW = ("title", "style", "noframes", "noscript", "textarea", "xmp", "iframe", "noembed")
_LONGEST_MARK = len("</textarea")

# The states of section 13.2.5, with shorter names. Each group's name is the state that follows; "done" is the end of a
# tag or comment.
STATES = {
    "tag": _until(rf"(?P<done> > ) | (?P<before_name> [{SPACE}/] )"),
    "before_name": _until(rf"(?P<done> > ) | (?P<name> [^{SPACE}/] )"),
    "name": _until(rf"(?P<done> > ) | (?P<before_name> / ) | (?P<after_name> [{SPACE}] ) | (?P<value> = )"),
    "after_name": _until(rf"(?P<done> > ) | (?P<before_name> / ) | (?P<value> = ) | (?P<name> [^{SPACE}] )"),
    "value": _until(rf"""(?P<done> > ) | (?P<double> " ) | (?P<single> ' ) | (?P<unquoted> [^{SPACE}] )"""),
    "double": _until(r'(?P<before_name> " )'),
    "single": _until(r"(?P<before_name> ' )"),
    "unquoted": _until(rf"(?P<done> > ) | (?P<before_name> [{SPACE}] )"),
    "bogus": _until(r"(?P<done> > )"),
    "comment": _until(r"--!? (?P<done> > )", "--!", "--"),
    **{name: _until(rf"(?P<tag> </{name}{NAMED} )", f"</{name}") for name in RAW},
    "script": _until(rf"(?P<tag> </script{NAMED} ) | (?P<escaped> <! (?= -- ) )", "</script", "<!-"),
    "escaped": _until(
        rf"(?P<script> --> ) | (?P<tag> </script{NAMED} ) | (?P<double_escaped> <script{NAMED} )",
        *("--", "</script", "<script"),
    ),
    "double_escaped": _until(rf"(?P<script> --> ) | (?P<escaped> </script{NAMED} )", "--", "</script"),
    "plaintext": _until("(?!)"),
    "frameset": _until("(?!)"),
}


def within(state: str, data: bytes, at: int, limit: int = maxsize) -> tuple[str, int]:
    """Return the state that follows one of `STATES`, and where. While the bytes do not tell, the state is "".

    Args:
        state: the state.
        data: the bytes of a document.
        at: the position in them; all that the state needs begins here.
        limit: the position up to which to look.
    """
    end, beginning = STATES[state]
    if match := end.search(data, at, limit):
        return str(match.lastgroup), match.end()
    begun = beginning.search(data, max(at, len(data) - _LONGEST_MARK), limit)
    return "", begun.start() if begun else len(data)
