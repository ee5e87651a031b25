import os

from psycopg.conninfo import conninfo_to_dict

SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["*"]
# Tells the length of each answer.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_url = conninfo_to_dict(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.pop("dbname"),
        "USER": _url.pop("user", ""),
        "PASSWORD": _url.pop("password", ""),
        "HOST": _url.pop("host", ""),
        "PORT": _url.pop("port", ""),
        "OPTIONS": _url,
        "CONN_MAX_AGE": 0,
    }
}
