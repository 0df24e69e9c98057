"""How the native API is described: what every operation shares is said here, once."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, extend_schema_serializer
from rest_framework import serializers

from accounts.idempotency import HEADER, REPLAYED

PREFIX = "/api/v1/"
PROBLEM = "application/problem+json"


class KeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of the tenant: `Authorization: Bearer parley_…`. It names the tenant.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.TenantSessionAuthentication"
    name = ["session", "tenant"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "apiKey",
                "in": "cookie",
                "name": "sessionid",
                "description": "A signed-in person. What changes something wants X-CSRFToken as well.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "X-Tenant",
                "description": "The address of the tenant in which the person acts.",
            },
        ]


class FaultSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="A dotted path; empty for the whole input.")
    code = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(component_name="Problem")
class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. `code` is stable and for programs; `detail` is a sentence in the reader's language."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors: Any = FaultSerializer(many=True, required=False)


_REFUSALS = {
    "400": "Something of the input is not valid.",
    "401": "No credential, or none that is known.",
    "403": "The credential may not do this.",
    "404": "Not found. What belongs to another tenant is exactly as absent as what is not.",
    "409": "The request does not fit the state that things are in.",
    "413": "The request is too large.",
    "415": "The body is of a type that is not read here.",
    "422": "The Idempotency-Key belongs to another request.",
    "429": "A quota is used up for now.",
    "503": "What is needed for it does not answer now.",
}
_HEADERS = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}}},
    "429": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
}


def with_refusals(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Postprocessing hook: every refusal is described once and referred to; no marks of the tool."""
    _drop_marks(result)
    problem = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    result["components"]["responses"] = {
        f"Problem{status}": {"description": said, "content": problem}
        | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
        for status, said in _REFUSALS.items()
    }
    return result


def _drop_marks(part: Any) -> None:
    if isinstance(part, dict):
        part.pop("x-spec-enum-id", None)
    for below in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        _drop_marks(below)


class NativeSchema(AutoSchema):
    """Parameters from the shapes that the views read them with, refusals from what they are."""

    view: Any

    def get_override_parameters(self) -> list[Any]:
        query = self.view.query_of(self.view.action)
        found: list[Any] = [query] if query().fields else []
        if self.method == "POST":
            found.append(
                OpenApiParameter(
                    HEADER,
                    {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
                    OpenApiParameter.HEADER,
                    description="Sent again with the same key and body within a day, the request is "
                    f"answered as before, with `{REPLAYED}: true`, and done once.",
                )
            )
        return found

    def get_extensions(self) -> dict[str, Any]:
        return {"x-capability": self.view.needed_capability()}

    def get_description(self) -> str:  # type: ignore[override]
        needed = self.view.needed_capability()
        said = super().get_description() or ""
        return f"{said}\n\nNeeds the capability `{needed}`.".strip()

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        self.resolve_serializer(ProblemSerializer, "response")
        for status in self._refusals():
            bodies.setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
        return dict(sorted(bodies.items()))

    def _refusals(self) -> set[str]:
        refusals = {"400", "401", "403", "404", "429"}
        if self.method != "GET":
            refusals |= {"409"}
        if self.method in ("POST", "PATCH", "PUT"):
            refusals |= {"413", "415"}
        if self.method == "POST":
            refusals |= {"422", "503"}
        return refusals


def native_alone(endpoints: list[Any], **_options: Any) -> list[Any]:
    """Preprocessing hook: the schema tells of /api/v1/."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(PREFIX)]
