#!/bin/sh
# Runs in the revision's final directory: a virtual environment writes absolute paths and must not be moved afterwards.
set -eu
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --no-input --requirement requirements.txt
# The revision is sealed read-only after the build: what Python would cache on first use is made now.
.venv/bin/python -m compileall -q guestbook
DJANGO_SECRET_KEY=only-for-collectstatic .venv/bin/python manage.py collectstatic --noinput --verbosity 0
