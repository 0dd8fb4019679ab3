"""What holds for all tests."""

import os
import sys

# Without its bytecode at hand every process that a test starts would compile the whole program again, which takes
# longer than the rest of its start; and every run would rewrite the assertions of all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
