"""Which programs of the system a test needs, and the Debian package that brings each."""

from __future__ import annotations

import os
import shutil

import pytest

PACKAGES = {
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "fence_ipmilan": "fence-agents",
    "ipmitool": "ipmitool",
    "ipmi_sim": "openipmi",
    "promtool": "prometheus",
    "ps": "procps",
    "ping": "iputils-ping",
    "ip": "iproute2",
    "fence_kdump_send": "fence-agents",
    "faketime": "faketime",
}
_BESIDE_PATH = ("/usr/sbin", "/sbin", "/usr/libexec/fence-agents", "/usr/lib/fence-agents")
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), *_BESIDE_PATH])

IRON = ("ssh-keygen", "sshd", "fence_ipmilan", "ipmitool", "ipmi_sim")


def program(name: str) -> str | None:
    """Full path of a program, ``/usr/sbin`` and what fence-agents hide included."""
    return shutil.which(name, path=_PATH)


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test, naming what to install, where one of these programs is missing."""
    missing = [name for name in names if program(name) is None]
    packages = sorted({PACKAGES[name] for name in missing})
    reason = f"{', '.join(missing)} not installed (apt install {' '.join(packages)})"
    return pytest.mark.skipif(bool(missing), reason=reason)
