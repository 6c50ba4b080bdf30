"""An embedded server that speaks the OpenAI and Azure OpenAI API to real SDK clients."""

from tenantry.testing.openai.recording import Headers, RecordedRequest
from tenantry.testing.openai.server import OpenAIServer

__all__ = ["Headers", "OpenAIServer", "RecordedRequest"]
