#!/usr/bin/env python
"""Django's door."""

import os
import sys
from pathlib import Path


def main() -> None:
    # platform/ is a shelf: what stands on it is importable even before an install. Appended, not
    # inserted, so that the order is the same as with the editable install's .pth file.
    sys.path.append(str(Path(__file__).resolve().parent / "platform"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
