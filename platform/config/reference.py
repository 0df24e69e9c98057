"""The description of the native API, as it was committed, and a page to read and try it."""

from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpResponse
from django.shortcuts import render
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

# Written by `make schema`; a test holds it and the views together.
FILE = Path(__file__).with_name("openapi.yaml")


class OpenView(APIView):
    """For everybody: it tells how to ask, and nothing of any tenant."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    schema = None

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return super().perform_content_negotiation(request, force=True)


class SchemaFile(OpenView):
    def get(self, request: Request) -> FileResponse:
        return FileResponse(FILE.open("rb"), content_type="application/yaml")


class Reference(OpenView):
    """Swagger UI from this server's own files; its start is a script of ours, so that none is inline."""

    def get(self, request: Request) -> HttpResponse:
        return render(request, "reference.html")
