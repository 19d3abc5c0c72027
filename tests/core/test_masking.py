"""No secret is shown, however an agent spells it."""

from __future__ import annotations

import pytest

from pmwatchd.core.masking import masked


def test_secrets_are_masked_however_agents_quote_them() -> None:
    text = r"""a-b'c -P 'a-b'"'"'c' ['a-b\'c'] 'a-b'\''c' back\\slash back\slash"""

    shown = masked(text, ["a-b'c", "", "back\\slash"])

    assert "a-b" not in shown
    assert "slash" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "GET /login?password=p%2Fq%20%C3%A9 failed",
        "GET /login?password=p%2fq%20%c3%a9 failed",
        "GET /login?password=p/q%20%C3%A9 failed",
        "body password=p%2Fq+%C3%A9",
        '{"password": "p/q \\u00e9"}',
    ],
)
def test_secrets_in_urls_forms_and_json_are_masked(text: str) -> None:
    shown = masked(text, ["p/q é"])

    assert "***" in shown
    assert "q" not in shown.replace("***", "")


def test_the_longer_of_two_secrets_is_masked_first() -> None:
    assert masked("secret-and-more", ["secret", "secret-and-more"]) == "***"
