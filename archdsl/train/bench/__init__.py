"""`archdsl bench`: how fast a network trains and answers here, beside a plain loop, and what holds it back."""
