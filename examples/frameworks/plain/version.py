"""What this version writes beside the name."""

COLUMN, VALUE = "age", 7
