"""
SSH to proxies: few connections, kept, host keys always verified.

Closing a channel or a connection never ends what runs on the proxy, so an
execution that lost its connection is over only when the proxy's ``timeout``
must have ended it.  Options are written after the command said itself that
it has begun, under that ``timeout``; from that moment the time counts.
"""

from pmwatchd.io.ssh.link import SshOptions
from pmwatchd.io.ssh.transport import SshTransport

__all__ = ["SshOptions", "SshTransport"]
