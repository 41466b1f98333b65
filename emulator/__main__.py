"""`python -m emulator`."""

from emulator.command import main

if __name__ == "__main__":
    main()
