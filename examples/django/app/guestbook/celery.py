"""The task queue. The broker is a directory that both slots share, so the example needs no server."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestbook.settings")

app = Celery("guestbook")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["guestbook"])
