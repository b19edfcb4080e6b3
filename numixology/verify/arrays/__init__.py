"""Arrays that carry more than their numbers through NumPy: a derivative, or random roundings."""
