"""A xiangqi board drawn in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlptasks.xiangqi.games import Game


def rows(game: Game, *, flipped: bool, traditional: bool, coloured: bool) -> list[str]:
    """Draw the board in full-width characters with rich's marks for colours, Red below unless it is turned.

    Without colours the sides have characters of their own.
    """
    from nlptasks.xiangqi.board import FILES, RANKS
    from nlptasks.xiangqi.tables import MOVES

    marked = MOVES[game.moves[-1]].tolist() if game.moves else []
    files = range(FILES)[:: -1 if flipped else 1]
    names = "  " + "".join(chr(ord("ａ") + file) + " " for file in files)
    lines = [names]
    for rank in range(RANKS)[:: 1 if flipped else -1]:
        cells = [cell(game, rank * FILES + file, marked, traditional, coloured) for file in files]
        lines.append(f"{rank} " + " ".join(cells))
        if rank == (4 if flipped else 5):
            lines.append("    [dim]楚 河             汉 界[/dim]")
    return lines


def cell(game: Game, square: int, marked: list[int], traditional: bool, coloured: bool) -> str:
    """Draw one square."""
    from nlptasks.xiangqi.notation import BLACK_NAMES, DRAWN_BLACK, DRAWN_RED, RED_NAMES, TRADITIONAL

    piece = game.now.squares[square]
    red, black = (RED_NAMES, BLACK_NAMES) if coloured else (DRAWN_RED, DRAWN_BLACK)
    name = (red if piece > 0 else black)[abs(piece)] if piece else "＋"
    name = name.translate(TRADITIONAL) if traditional else name
    style = "bold red" if piece > 0 else "bold cyan" if piece else "dim"
    return f"[{style}{' reverse' if square in marked else ''}]{name}[/]"
