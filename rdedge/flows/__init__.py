"""What needs several wings or rooms at once: check, doctor, savings, demo."""
