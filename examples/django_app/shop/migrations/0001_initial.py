"""The first tables."""

from typing import ClassVar

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table of memberships."""

    initial = True
    dependencies: ClassVar = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        verbose_name="ID", primary_key=True, auto_created=True, serialize=False
                    ),
                ),
                ("tenant", models.SlugField()),
                (
                    "user",
                    models.OneToOneField(to=settings.AUTH_USER_MODEL, on_delete=models.CASCADE),
                ),
            ],
        )
    ]
