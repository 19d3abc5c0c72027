"""Two spellings of one machine compare equal."""

from __future__ import annotations

import pytest

from pmwatchd.core.addresses import same_address


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Node7.Example.org", "node7.example.org."),
        ("FD00:0::7", "fd00::7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("FE80::1%eth0", "fe80::1%eth0"),
        (" node7 ", "NODE7"),
    ],
)
def test_case_dots_zeros_and_blanks_make_no_other_machine(one: str, other: str) -> None:
    assert same_address(one) == same_address(other)


def test_other_words_are_other_machines() -> None:
    words = ["node7", "node7.example.org", "10.0.0.7", "10.0.0.70", "fe80::1%eth0", "fe80::1%eth1"]

    assert len({same_address(word) for word in words}) == len(words)
