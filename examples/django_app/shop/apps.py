"""The shop's application: wires its views when Django is ready."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self) -> None:
        from .containers import Container

        Container().wire(modules=["shop.views"])
