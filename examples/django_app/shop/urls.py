"""Where the pages are."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("login", views.sign_in),
    path("greet", views.greet),
    path("greet-async", views.greet_async),
    path("greet-injected", views.greet_injected),
    path("stream", views.stream),
    path("stream-async", views.stream_async),
    path("", include("tenantry.integrations.django.urls")),  # /livez and /readyz
]
