"""A missing real part is a skip on a developer's machine and a failure in CI, never a pass."""

import sys

import pytest

import real_parts


def test_a_missing_part_skips_on_a_developers_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="the command no-such-command is missing"):
        real_parts.command("no-such-command")


def test_a_missing_part_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="the command no-such-command is missing"):
        real_parts.command("no-such-command")


def test_a_part_that_is_there_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert real_parts.command(sys.executable) == sys.executable
