"""What the worker does."""

import os
import time

from celery import shared_task

from . import entries


@shared_task
def write_entry(name: str, message: str, takes: float = 0.0) -> None:
    """Writes an entry; `takes` seconds stand for the work that a real task has."""
    time.sleep(takes)
    revision = os.environ.get("SWITCHOVER_REVISION", "")
    entries.append({"name": name, "message": message, "written_by": revision, "pid": os.getpid()})
