"""
Hears hosts that write a crash dump.

A crash kernel that runs ``fence_kdump_send`` says every few seconds, in one
small datagram, that it is at work; cutting its power would cost the dump.
Nothing in a datagram proves who sent it: one with a forged source looks like
the real one.  So it may only ever make us wait, with a ceiling, and what is
heard is one fact per host and second.  Whatever else arrives is counted and
told in one record a minute; nothing is kept for a sender that is not known.
"""

from pmwatchd.io.kdump.listener import DumpListener

__all__ = ["DumpListener"]
