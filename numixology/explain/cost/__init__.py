"""What a layer costs: counted as it runs, by closed formulas, and measured."""
