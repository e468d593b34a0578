"""The entry of the command, which an interrupt may reach while everything else is still being imported."""

from . import signals


def main() -> None:
    """Run nlpk and end with its status."""
    try:
        signals.mind()
        from nlpk.app import main as run

        run()
    except KeyboardInterrupt as error:
        signals.end(error)


if __name__ == "__main__":
    main()
