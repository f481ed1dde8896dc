"""`python -m hetorch`: the command line, where the command `hetorch` is not on the path."""

from __future__ import annotations

from hetorch.cli.main import main

if __name__ == "__main__":
    main()
