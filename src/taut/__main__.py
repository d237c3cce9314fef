"""`python -m taut`."""

from taut.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
