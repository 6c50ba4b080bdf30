"""A Celery app whose tasks run for the tenant that sent them."""

from __future__ import annotations

import os

from celery import Celery

from tenantry import ClientRegistry
from tenantry.integrations.celery import install

# A broker in a directory, so that the example needs none: yours is Redis or RabbitMQ.
folder = os.environ["EXAMPLE_FOLDER"]
app = Celery("summaries", broker="filesystem://", backend=f"file://{folder}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{folder}/messages",
    "data_folder_out": f"{folder}/messages",
    "control_folder": f"{folder}/control",
    "polling_interval": 0.05,
}

registry = ClientRegistry.open()  # what TENANTRY_CONFIG names; it survives the pool's forks
install(app, registry=registry)


@app.task
def summarize(text: str) -> str:
    """Ask the model with the key of the tenant that is current here: the sender's."""
    client = registry.client()
    return client.responses.create(model="gpt-4o-mini", input=text).output_text
