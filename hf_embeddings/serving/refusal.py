"""What is refused, and how it is said: the form of OpenAI's errors."""

from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """A request that is not answered as asked: the status of HTTP, and a line of what was given and expected."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it: `param` is the field of the request, `code` a word for programs."""
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, dict(headers or {})

    @property
    def kind(self) -> str:
        """The word that OpenAI has for errors of this status."""
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        return kinds.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")

    def body(self) -> dict[str, object]:
        """Return the JSON of the answer."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}
