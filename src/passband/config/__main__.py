"""``python -m passband.config > docs/configuration.md`` writes the reference of all settings."""

import sys

from passband.config.manual import reference

sys.stdout.write(reference())
