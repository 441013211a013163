"""Learned compression for devices behind a link that costs money."""
