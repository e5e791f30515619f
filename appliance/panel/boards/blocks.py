"""Our lines in files that belong to somebody else: one block between two marks.

What stands outside of the marks is kept byte for byte, whatever its encoding and line ends.
"""

from __future__ import annotations

import re

BEGIN = "# >>> luna board >>> written by `luna board apply`; it writes these lines anew"
END = "# <<< luna board <<<"
_BLOCK = re.compile(
    r"^# >>> luna board >>>[^\n]*\n.*?^# <<< luna board <<<[^\n]*(?:\n|\Z)", re.S | re.M
)
_MARK = re.compile(r"^# (?:>>>|<<<) luna board (?:>>>|<<<)", re.M)


def with_block(data: bytes, content: str, *, keep_empty: str = "") -> bytes:
    """Return the file *data* with *content* as our block, at its end if there is none yet.

    Empty *content* takes the block out. Where text follows it, *keep_empty* stays in its place:
    what that text means may depend on it.

    Raises:
        ValueError: the marks are damaged; the rest of a sentence.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    block = f"{BEGIN}\n{content.rstrip()}\n{END}\n".replace("\n", end_of_line) if content else ""
    found = list(_BLOCK.finditer(text))
    if len(found) > 1 or len(_MARK.findall(text)) != 2 * len(found):
        raise ValueError("has marks of `luna board` that do not belong together; repair them first")
    if found:
        before, after = text[: found[0].start()], text[found[0].end() :]
        if not block and after.strip() and keep_empty:
            block = keep_empty + end_of_line
        # The empty line that sets the block off was ours as well.
        text = before + block + after if block else before.removesuffix(end_of_line) + after
    elif block:
        gap = "" if not text else end_of_line if text.endswith("\n") else 2 * end_of_line
        text += gap + block
    return text.encode("utf-8", errors="surrogateescape")


def outside(data: bytes) -> list[tuple[int, str]]:
    """Return the numbered lines of *data* that are not in our block."""
    text = data.decode("utf-8", errors="replace")
    # The block's lines are blanked and not cut out, so that the numbers stay right.
    text = _BLOCK.sub(lambda block: "\n" * block.group().count("\n"), text)
    return list(enumerate(text.splitlines(), 1))
