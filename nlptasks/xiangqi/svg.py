"""A position as a picture: SVG, drawn from the rules alone."""

from __future__ import annotations

from html import escape

from nlptasks.xiangqi.board import FILES, RANKS, SQUARES, Position
from nlptasks.xiangqi.notation import BLACK_NAMES, RED_NAMES, TRADITIONAL
from nlptasks.xiangqi.tables import MOVES

CELL, EDGE = 60, 50
WIDTH, HEIGHT = 2 * EDGE + (FILES - 1) * CELL, 2 * EDGE + (RANKS - 1) * CELL
INK, BOARD, WOOD, RED, BLACK = "#5b3a1a", "#f2d7a0", "#fbeccb", "#b3202a", "#1d1d1d"
FONT = "'Kaiti SC', KaiTi, 'Noto Serif CJK SC', serif"


def drawn(position: Position, last: int | None = None, *, traditional: bool = False) -> str:
    """Draw a position, Red at the bottom, the squares of the last move marked."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(position.fen)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{BOARD}"/>',
        f'<path d="{grid()}" stroke="{INK}" stroke-width="1.5" fill="none"/>',
        river(),
        labels(),
    ]
    parts += [marked(square) for square in (MOVES[last].tolist() if last is not None else [])]
    parts += [piece(square, found, traditional=traditional) for square, found in enumerate(position.squares) if found]
    return "\n".join([*parts, "</svg>", ""])


def at(square: int) -> tuple[int, int]:
    """Give the middle of a square."""
    return EDGE + square % FILES * CELL, HEIGHT - EDGE - square // FILES * CELL


def grid() -> str:
    """Draw the lines, with the river open and the palaces crossed."""
    corner = SQUARES - 1
    found = [line(rank * FILES, rank * FILES + FILES - 1) for rank in range(RANKS)]
    found += [line(file, corner - FILES + 1 + file) for file in (0, FILES - 1)]
    for file in range(1, FILES - 1):
        found += [line(file, 4 * FILES + file), line(5 * FILES + file, corner - FILES + 1 + file)]
    for low in (0, 7 * FILES):
        found += [line(low + 3, low + 2 * FILES + 5), line(low + 5, low + 2 * FILES + 3)]
    return " ".join(found)


def line(one: int, other: int) -> str:
    """Draw a line between two squares."""
    (x, y), (to_x, to_y) = at(one), at(other)
    return f"M{x} {y}L{to_x} {to_y}"


def river() -> str:
    """Write the river's names."""
    y = HEIGHT // 2 + 8
    style = f'font-family="{FONT}" font-size="26" fill="{INK}" text-anchor="middle"'
    return f'<text x="{WIDTH // 4}" y="{y}" {style}>楚 河</text><text x="{3 * WIDTH // 4}" y="{y}" {style}>汉 界</text>'


def labels() -> str:
    """Write the names of files and ranks, as ICCS has them."""
    style = f'font-family="sans-serif" font-size="13" fill="{INK}" text-anchor="middle"'
    files = [f'<text x="{at(file)[0]}" y="{HEIGHT - 10}" {style}>{"abcdefghi"[file]}</text>' for file in range(FILES)]
    ranks = [f'<text x="12" y="{at(rank * FILES)[1] + 5}" {style}>{rank}</text>' for rank in range(RANKS)]
    return "".join([*files, *ranks])


def marked(square: int) -> str:
    """Mark a square of the last move."""
    x, y = at(square)
    return f'<rect x="{x - 29}" y="{y - 29}" width="58" height="58" fill="none" stroke="#2c7a4b" stroke-width="3"/>'


def piece(square: int, found: int, *, traditional: bool) -> str:
    """Draw a piece."""
    (x, y), color = at(square), RED if found > 0 else BLACK
    name = (RED_NAMES if found > 0 else BLACK_NAMES)[abs(found)]
    name = name.translate(TRADITIONAL) if traditional else name
    circles = f'<circle cx="{x}" cy="{y}" r="26" fill="{WOOD}" stroke="{color}" stroke-width="2"/>'
    style = f'font-family="{FONT}" font-size="30" fill="{color}" text-anchor="middle"'
    return f'{circles}<text x="{x}" y="{y + 11}" {style}>{name}</text>'
