"""The wing of the device."""
