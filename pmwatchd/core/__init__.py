"""DECIDES.

Facts in, orders out; standard library only, no clock, no await, no logger, no random.
"""
