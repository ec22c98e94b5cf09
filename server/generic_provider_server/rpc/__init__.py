"""Implements the RPCs of the protos: decodes the message, calls a service, and encodes the
result.
"""
