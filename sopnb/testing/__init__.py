"""What a backend must pass: one suite per protocol, a clock that is set by hand, and wrappers that fail on purpose.

A backend's own test file subclasses a suite and gives the fixture that makes one.
"""
