"""``python -m passband`` is the command ``passband``."""

from passband.cli import main

main()
