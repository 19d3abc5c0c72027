"""What an agent says of itself is read with care: behaviour.md section 6."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmwatchd.core.metadata import SIZE_MAX, Metadata, MetadataError, parse

APC = b"""<?xml version="1.0" ?>
<resource-agent name="fence_apc" shortdesc="Fence agent for APC over telnet/ssh">
<longdesc>It switches outlets.</longdesc>
<parameters>
  <parameter name="action" unique="0" required="1">
    <content type="string" default="reboot" />
  </parameter>
  <parameter name="ip" required="1" obsoletes="ipaddr"><content type="string" /></parameter>
  <parameter name="ipaddr" required="1" deprecated="1"><content type="string" /></parameter>
  <parameter name="ipport" required="0"><content type="integer" default="23" /></parameter>
  <parameter name="power_wait" required="0"><content type="second" default="0" /></parameter>
</parameters>
<actions><action name="on" /><action name="off" /></actions>
</resource-agent>
"""


def described(*parameters: str) -> bytes:
    inner = "".join(f"<parameter {parameter}</parameter>" for parameter in parameters)
    return f"<resource-agent><parameters>{inner}</parameters></resource-agent>".encode()


def test_options_required_ones_and_the_default_port_are_read() -> None:
    assert parse(APC) == Metadata(
        parameters=frozenset({"action", "ip", "ipaddr", "ipport", "power_wait"}),
        required=frozenset({"action", "ip", "ipaddr"}),
        ipport=23,
    )


@pytest.mark.parametrize(
    "port",
    [
        'name="plug">',
        'name="ipport">',
        'name="ipport"><content type="integer"/>',
        'name="ipport"><content default=""/>',
        'name="ipport"><content default="-1"/>',
        'name="ipport"><content default="\N{ARABIC-INDIC DIGIT FOUR}"/>',
        f'name="ipport"><content default="{"9" * 5000}"/>',
    ],
)
def test_a_default_port_that_is_none_is_not_known(port: str) -> None:
    assert parse(described(port)).ipport is None


def test_options_without_a_name_are_none() -> None:
    assert parse(described('name="ip">', 'name="">', ">")).parameters == {"ip"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"<!DOCTYPE resource-agent>" + APC, "DOCTYPE"),
        (b'<!doctype x [<!ENTITY a "b">]><resource-agent/>', "DOCTYPE"),
        (b'<?xml version="1.0"?><x><!entity a "b"></x>', "entity"),
        (APC.replace(b"It switches", b"<![CDATA[<!DOCTYPE]]>"), "DOCTYPE"),
        (APC.decode().encode("utf-16"), "not XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><resource-agent/>'.encode("utf-16"), "not XML"),
        (b"\xff\xfe<\0r\0", "not XML"),
        (APC.replace(b"outlets", b"&undefined;"), "not XML"),
        (b"", "not XML"),
        (b"Traceback (most recent call last):", "not XML"),
        (APC[:-10], "not XML"),
        (b"warning: no such thing\n" + APC, "not XML"),
        (b"<resource-agent/>", "no options"),
        (described(">"), "no options"),
        (APC.replace(b"resource-agent", b"html"), "no options"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: bytes, reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        parse(text)


@pytest.mark.parametrize(("size", "fits"), [(SIZE_MAX, True), (SIZE_MAX + 1, False)])
def test_more_than_a_mebibyte_is_refused_before_it_is_read(size: int, *, fits: bool) -> None:
    text = APC.ljust(size, b"\n")

    if fits:
        assert "ip" in parse(text).parameters
    else:
        with pytest.raises(MetadataError, match="larger than 1 MiB"):
            parse(text)


def test_depth_alone_harms_nobody() -> None:
    deep = 100_000
    text = b"<resource-agent>" + b"<a>" * deep + b"</a>" * deep + b'<parameter name="ip"/>'

    assert parse(text + b"</resource-agent>").parameters == {"ip"}


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda t: described(f'name="{t}">')))
def test_whatever_is_printed_is_metadata_or_refused(text: bytes) -> None:
    try:
        metadata = parse(text)
    except MetadataError:
        return

    assert metadata.parameters
