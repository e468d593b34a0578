"""Text without case and width, character by character, so that places in it stay what they are."""

from __future__ import annotations

#: Full-width forms and the characters that they stand for.
NARROW: dict[int, str | int] = {0x3000: " ", **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}}


def folded(text: str) -> str:
    """Take case and width away, character by character, so that places stay."""
    plain = text.translate(NARROW)
    lower = plain.lower()
    if len(lower) == len(plain):
        return lower
    return "".join(one.lower() if len(one.lower()) == 1 else one for one in plain)
