from django.db import models

# What this version writes beside the name.
OWN = {"note": "new"}


class Item(models.Model):
    name = models.TextField()
    note = models.TextField(null=True)
