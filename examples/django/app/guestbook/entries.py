"""The entries: one JSON object a line, appended by workers of either slot."""

import fcntl
import json

from django.conf import settings


def append(entry: dict) -> None:
    with settings.ENTRIES.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(entry) + "\n")


def read() -> list[dict]:
    try:
        with settings.ENTRIES.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []
