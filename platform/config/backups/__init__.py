"""Backup and restore of everything that a platform is: its rows, files, jobs and checkpoints.

A backup is a tar file that any tool opens: `database/<table>.ndjson`, one row a line, `home/...` as
the files lie, `manifest.json` with the SHA-256 of each part, and last the manifest's own. The rows
are written table by table in a form of our own and not by the database's tools, so that a backup of
SQLite restores into PostgreSQL and an older version's into a newer one.
"""

from .errors import BackupError
from .restoring import restore_backup
from .writing import write_backup

__all__ = ["BackupError", "restore_backup", "write_backup"]
