"""`python -m hetorch`: the command line, for users whose path does not have the command `hetorch`."""

from __future__ import annotations

from hetorch.cli.main import main

if __name__ == "__main__":
    main()
