"""``python -m reentra``."""

from __future__ import annotations

from reentra.cli import main

if __name__ == "__main__":
    main()
