"""One spelling for every name and address, so that those of one machine compare equal."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=1 << 16)
def same_address(address: str) -> str:
    """Write a name or an address so that two spellings of one compare equal."""
    bare = address.strip().rstrip(".")
    try:
        ip = ipaddress.ip_address(bare)
    except ValueError:
        return bare.lower()
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)
