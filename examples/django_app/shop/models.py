"""Which tenant a user belongs to."""

from django.conf import settings
from django.db import models


class Membership(models.Model):
    """A user's place in a tenant; `tenant` is a name in tenants.yaml."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE)
    tenant = models.SlugField()

    def __str__(self) -> str:
        return f"{self.user} of {self.tenant}"
