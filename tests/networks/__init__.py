"""Whole networks drawn at random, each held against torch."""
