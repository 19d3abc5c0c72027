"""``python -m pmwatchd``."""

from __future__ import annotations

from pmwatchd.cli import main

if __name__ == "__main__":
    main(prog_name="pmwatchd")
