"""The addresses."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign", views.sign, name="sign"),
    path("api/entries", views.api_entries),
    path("up", views.up),
]
