"""Where object stores are."""

import pytest


def point_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let object stores that are opened from now on be those of this address."""
    settings = {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
