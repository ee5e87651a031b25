"""The app's start, in the web process and in the worker."""

import sys

from django.apps import AppConfig
from django.conf import settings


class GuestbookConfig(AppConfig):
    name = "guestbook"

    def ready(self):
        # The build runs before the shared directory is there, and has no use for it.
        if "collectstatic" not in sys.argv:
            for name in ("queue", "processed", "control"):
                (settings.DATA_DIR / name).mkdir(parents=True, exist_ok=True)
