from django.db import models

# What this version writes beside the name.
OWN = {"age": 7}


class Item(models.Model):
    name = models.TextField()
    age = models.IntegerField(null=True)
