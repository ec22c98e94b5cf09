"""Tests an adapter in any language: a fake server causes faults, and checks the
rules for adapters.
"""
