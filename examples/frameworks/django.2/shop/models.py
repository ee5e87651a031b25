from django.db import models


class Item(models.Model):
    name = models.TextField()
    note = models.TextField(null=True)
