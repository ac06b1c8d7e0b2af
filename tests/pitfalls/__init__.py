"""How a mistake is written, and the ways in which it must show: for `test_pitfalls.py`."""
