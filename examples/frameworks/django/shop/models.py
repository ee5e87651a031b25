from django.db import models


class Item(models.Model):
    name = models.TextField()
    age = models.IntegerField(null=True)
