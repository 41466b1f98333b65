"""The command line `qurable`."""


def main() -> None:
    """Entry point; everything heavy is imported by the command that needs it."""
    try:
        from qurable.cli.app import app
    except ImportError as missing:
        raise SystemExit(
            f"qurable: the command line needs the extra: pip install 'qurable[cli]' ({missing})"
        ) from None
    app()
