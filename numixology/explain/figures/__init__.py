"""The figures: each reads what it shows off running code."""
