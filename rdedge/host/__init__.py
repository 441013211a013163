"""The wing that trains and exports; the only one that imports torch."""
