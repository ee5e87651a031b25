from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_first")]
    operations = [migrations.AddField("item", "note", models.TextField(null=True))]
